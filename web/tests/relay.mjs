// A relay in front of a server, whose lines a test can cut and refuse.
import { once } from "node:events";
import { connect, createServer } from "node:net";

export class Relay {
  #lines = new Set();
  #refusing = false;
  #server;
  /** Connections refused since the last cut. */
  refused = 0;

  static async before(origin) {
    const relay = new Relay();
    const { hostname, port } = new URL(origin);
    relay.#server = createServer((near) => relay.#accept(near, hostname, Number(port)));
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get origin() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  /** Breaks every line and refuses new ones. */
  cut() {
    this.#refusing = true;
    this.refused = 0;
    for (const line of this.#lines) line.destroy();
  }

  mend() {
    this.#refusing = false;
  }

  close() {
    this.cut();
    this.#server.close();
  }

  #accept(near, host, port) {
    near.on("error", () => {});
    if (this.#refusing) {
      this.refused += 1;
      return near.destroy();
    }
    const far = connect(port, host);
    far.on("error", () => near.destroy());
    for (const [one, other] of [[near, far], [far, near]]) {
      one.pipe(other);
      this.#lines.add(one);
      one.on("close", () => {
        this.#lines.delete(one);
        other.destroy();
      });
    }
  }
}
