// Runs every browser test in this folder, one after the other, against a server that it starts (HIWAR_BIN) or is told of (HIWAR_ORIGIN and
// HIWAR_HOST_LINK). The first failure ends the run. `npm run test:browser listen recovery` runs those two.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { BINARY, Server } from "./server.mjs";

const here = new URL(".", import.meta.url).pathname;
const NOT_TESTS = ["run.mjs", "browser.mjs", "relay.mjs", "server.mjs"];
/** The longest of them is a whole life of a space, heard at each step. */
const TEST_MS = 420_000;

const chosen = process.argv.slice(2);
const tests = readdirSync(here)
  .filter((name) => name.endsWith(".mjs") && !NOT_TESTS.includes(name) && (chosen.length === 0 || chosen.includes(name.slice(0, -4))))
  .sort();
const server = process.env.HIWAR_ORIGIN ? null : await Server.start(BINARY);
const env = server
  ? { ...process.env, HIWAR_ORIGIN: server.origin, HIWAR_HOST_LINK: server.hostLink, HIWAR_SUPERVISOR: String(server.pid) }
  : process.env;

let running = null;
let failed = null;
const began = performance.now();
for (const sign of ["SIGINT", "SIGTERM"]) process.once(sign, () => ((failed = sign), running?.kill("SIGTERM")));
for (const name of tests) {
  if (failed) break;
  const from = performance.now();
  running = spawn(process.execPath, [here + name], { stdio: ["inherit", "inherit", 1], env });
  const timer = setTimeout(() => running.kill("SIGTERM"), TEST_MS);
  const status = await new Promise((resolve) => running.once("exit", (code, signal) => resolve(code ?? signal)));
  clearTimeout(timer);
  console.log(`${status === 0 ? "✓" : "✗"} ${name} ${((performance.now() - from) / 1000).toFixed(1)} s`);
  if (status !== 0) failed = `${name}: ${status}`;
}
await server?.stop();
console.log(failed ?? `${tests.length} browser tests passed in ${((performance.now() - began) / 1000).toFixed(0)} s`);
process.exit(failed ? 1 : 0);
