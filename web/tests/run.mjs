// Runs every browser test in this folder, one after the other; the first failure ends the run.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const here = new URL(".", import.meta.url).pathname;
const tests = readdirSync(here).filter((name) => name.endsWith(".mjs") && !["run.mjs", "browser.mjs", "relay.mjs"].includes(name)).sort();
for (const name of tests) {
  console.error(`— ${name}`);
  const { status } = spawnSync(process.execPath, [here + name], { stdio: "inherit", timeout: 300_000 });
  if (status !== 0) process.exit(status ?? 1);
}
