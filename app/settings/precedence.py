"""How settings come out of the environment: arguments first, then `TIDEGATE_…` variables."""

from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.settings.environment import PREFIX, is_service_link


class EnvironmentSettings(BaseSettings):
    """Settings whose empty variables count as unset, as Compose makes them of `${TIDEGATE_STORE_URL:-}`."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the names are those of the library
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  likewise
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  likewise
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let arguments win over the environment, read nothing else, and leave out addresses of Services."""
        if isinstance(env_settings, EnvSettingsSource):
            env_settings.env_vars = {
                name: value
                for name, value in env_settings.env_vars.items()
                if name.upper().startswith(PREFIX) and not is_service_link(name, value or "")
            }
            if not env_settings.env_vars:  # looking for each setting there takes milliseconds
                return (init_settings,)
        return init_settings, env_settings
