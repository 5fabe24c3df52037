"""Lets a process start with less work and less memory; called before it imports these libraries."""

import gc
import sys
import warnings


def leave_out_rich() -> None:
    """Let imports of `rich` and `pygments` fail in this process; to be called before they are tried.

    structlog and httpx load them where they are installed, 4 MB a process, also for one that draws nothing.
    None is Python's documented way to say that a module is not to be found.
    """
    sys.modules.update({"rich": None, "pygments": None})  # type: ignore[dict-item]


def start_lean() -> None:
    """Spare a process of the service a third of the work of its start; `QuietServer` ends the pause.

    The garbage collector looks at a hundred thousand objects again and again while they are made, and nearly
    all of them stay: it pauses until the server has started. FastAPI loads `pydantic.v1` only to refuse its
    models. And pydantic makes a validator for each model, some 80 of ours and FastAPI's, when its class is
    defined: here it does so when the model is first used, as those for `/openapi.json` never are in most
    gates.
    """
    gc.disable()
    leave_out_rich()
    sys.modules["pydantic.v1"] = None  # type: ignore[assignment]
    from pydantic import BaseModel  # noqa: PLC0415  the command line imports this module, and needs no models
    from pydantic.warnings import UnsupportedFieldAttributeWarning  # noqa: PLC0415

    BaseModel.model_config["defer_build"] = True
    # FastAPI ignores this one while it prepares a route; what is put off is made after that.
    warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
