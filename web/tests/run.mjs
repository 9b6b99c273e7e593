// Runs every browser test in this folder, one after the other, against a server that it starts (HIWAR_BIN) or is told of (HIWAR_ORIGIN and
// HIWAR_HOST_LINK). Why some failed is said once more at the end. `npm run test:browser listen recovery` runs those two.
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

/** For so long it may take to end when it is told to. */
const ENDS_MS = 10_000;
/** For so long its error stream may stay open afterwards. */
const CLOSES_MS = 2_000;
/** So much of what a test said last is said again if it failed. */
const SAID_LAST = 4_000;
let running = null;
let ended = null;
const failed = [];
const began = performance.now();
/** With the servers that it started: they would be in the way of all that follow. */
const end = (signal) => {
  try {
    if (running?.pid) process.kill(-running.pid, signal);
  } catch {
    // Nobody is there any more.
  }
};
for (const sign of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(sign, () => (end(ended ? "SIGKILL" : "SIGTERM"), (ended = sign)));
for (const name of tests) {
  if (ended) break;
  const from = performance.now();
  running = spawn(process.execPath, [here + name], { stdio: ["inherit", "inherit", "pipe"], env, detached: true });
  let said = "";
  running.stderr.setEncoding("utf8");
  running.stderr.on("data", (bytes) => {
    process.stdout.write(bytes);
    said = (said + bytes).slice(-SAID_LAST);
  });
  const timers = [
    [TEST_MS, "SIGTERM"],
    [TEST_MS + ENDS_MS, "SIGKILL"],
  ].map(([ms, signal]) => setTimeout(() => end(signal), ms));
  const closed = new Promise((resolve) => running.once("close", resolve));
  const status = await new Promise((resolve) => running.once("exit", (code, signal) => resolve(code ?? signal)));
  timers.forEach(clearTimeout);
  // What it said last is there, unless something that it started has its error stream still: that ends now.
  end("SIGKILL");
  await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, CLOSES_MS))]);
  console.log(`${status === 0 ? "✓" : "✗"} ${name} ${((performance.now() - from) / 1000).toFixed(1)} s`);
  if (status !== 0) failed.push(() => `${said}\n✗ ${name}: ${status}`);
}
await server?.stop();
const all = `${tests.length} browser tests`;
for (const why of failed) console.log(`\n${why()}`);
console.log(ended ?? (failed.length > 0 ? `${failed.length} of ${all} failed` : `${all} passed in ${((performance.now() - began) / 1000).toFixed(0)} s`));
process.exit(ended || failed.length > 0 ? 1 : 0);
