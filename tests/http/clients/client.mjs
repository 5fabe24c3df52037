// fetch as Node has it (undici).

import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

async function send([method, url, type, authorization, file]) {
  const headers = {};
  if (type !== "-") headers["Content-Type"] = type;
  if (authorization !== "-") headers["Authorization"] = authorization;
  const body = file === "-" ? undefined : await readFile(file);
  const response = await fetch(url, { method, headers, body });
  return `${response.status}\t${await response.text()}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [name, ...fields] = line.split("\t");
  console.log(`${name}\t${await send(fields).catch((error) => `0\t${error}: ${error.cause}`)}`);
}
