/**
 * A listener's place in time. A ticket outlives the page, for whoever closes it keeps their place; the place of whoever was let in is of this tab alone, for it is one connection's.
 */

/** What somebody is told who has to wait (crates/delivery/src/door.rs). */
export interface Told {
  ticket: string;
  wait_ms: number;
  /** What comes then: the next try, a draw, a place, or another look. */
  stage: "soon" | "draw" | "place" | "rank";
}

export class Ticket {
  /** To show; empty: none. */
  text = "";
  #key: string;

  constructor(space: string) {
    this.#key = `hiwar:ticket:${space}`;
    try {
      this.text = sessionStorage.getItem(this.#key) ?? localStorage.getItem(this.#key) ?? "";
    } catch {
      // No storage: the place is this page's.
    }
  }

  /** Reads an answer: what somebody has to wait for, if they have to. Only the door's 503 has a ticket in it. */
  async read(response: Response): Promise<Told | null> {
    if (response.ok) this.#take(response.headers.get("Hiwar-Place"), "sessionStorage");
    if (response.status !== 503) return null;
    const told = (await response.json().catch(() => null)) as Told | null;
    if (!told?.ticket) return null;
    this.#take(told.ticket, "localStorage");
    return told;
  }

  #take(ticket: string | null, to: "localStorage" | "sessionStorage"): void {
    if (!ticket) return;
    this.text = ticket;
    try {
      for (const kept of [localStorage, sessionStorage]) kept.removeItem(this.#key);
      globalThis[to].setItem(this.#key, ticket);
    } catch {
      // As above.
    }
  }
}
