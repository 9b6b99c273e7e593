// A real server for one test run: started with free ports on an empty directory, ended by its pid, and able to lose a child.
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What is tested, unless it is told. */
export const BINARY = process.env.HIWAR_BIN || new URL("../../target/debug/hiwar", import.meta.url).pathname;
const START_MS = 30_000;

export class Server {
  #process;
  #data;
  origin = "";
  hostLink = "";

  /** Starts `hiwar serve` with the demo, by a configuration if there is one, and resolves when it has printed the host link. */
  static async start(binary, configuration = "") {
    if (!existsSync(binary)) throw new Error(`${binary} is missing: npm run build here, then cargo build -p hiwar-server; or name one in HIWAR_BIN`);
    const server = new Server();
    server.#data = mkdtempSync(join(tmpdir(), "hiwar-browser-"));
    const free = ["--public", "127.0.0.1:0", "--stage", "127.0.0.1:0", "--media-port", "0"];
    const file = join(server.#data, "tested.toml");
    writeFileSync(file, configuration);
    const running = spawn(binary, ["serve", "--config", file, "--data", server.#data, ...free, "--demo"], { stdio: ["ignore", "pipe", "inherit"] });
    server.#process = running;
    await new Promise((resolve, reject) => {
      let said = "";
      const timer = setTimeout(() => reject(new Error(`the server did not start: ${said}`)), START_MS);
      running.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
      running.stdout.on("data", (bytes) => {
        said += bytes;
        server.hostLink = /http\S+token=[\w-]+(?=\s)/.exec(said)?.[0] ?? "";
        if (!server.hostLink) return;
        clearTimeout(timer);
        resolve();
      });
    }).catch((why) => {
      server.stop();
      throw why;
    });
    server.origin = JSON.parse(readFileSync(join(server.#data, "run/addresses.json"), "utf8")).public;
    return server;
  }

  /** Its directory. */
  get data() {
    return this.#data;
  }

  get pid() {
    return this.#process.pid;
  }

  /** Ends it and removes its directory. */
  async stop() {
    const running = this.#process;
    if (running.exitCode === null && running.signalCode === null) {
      const ended = new Promise((resolve) => running.once("exit", resolve));
      running.kill("SIGTERM");
      const last = setTimeout(() => running.kill("SIGKILL"), 8_000);
      await ended;
      clearTimeout(last);
    }
    rmSync(this.#data, { recursive: true, force: true });
  }
}

/** The house among the children of supervisor `pid`: the one that holds the API's Unix socket. */
export function house(pid) {
  const sockets = inodes("/proc/net/unix", (fields) => fields[7]?.endsWith("api.sock"), 6);
  return children(pid).find((child) => holds(child, sockets));
}

/** The crowd workers of supervisor `pid` that have a connection open on the public `port`. */
export function workers(pid, port) {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  // State 01 is ESTABLISHED.
  const sockets = inodes("/proc/net/tcp", (fields) => fields[1]?.endsWith(`:${hex}`) && fields[3] === "01", 9);
  return children(pid).filter((child) => holds(child, sockets));
}

function children(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function inodes(table, wanted, column) {
  const lines = readFileSync(table, "utf8").split("\n").map((line) => line.trim().split(/\s+/));
  return new Set(lines.filter(wanted).map((fields) => `socket:[${fields[column]}]`));
}

function holds(pid, sockets) {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => sockets.has(link(`/proc/${pid}/fd/${fd}`)));
  } catch {
    return false;
  }
}

function link(path) {
  try {
    return readlinkSync(path);
  } catch {
    // Closed between the listing and the look.
    return "";
  }
}
