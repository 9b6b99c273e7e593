/** Where we are, from the fragment of the address. A pass in it is taken out before anything else sees the address. */
import { keep, read } from "../stage/pass";

export type Route =
  | { name: "home" }
  | { name: "host" }
  | { name: "stage"; space: string }
  | { name: "nowhere" };

const at = $state<{ route: Route; visit: number }>({ route: { name: "nowhere" }, visit: 0 });

export function route(): Route {
  return at.route;
}

/** Changes with every navigation, also one to the same place (a second link for the same stage). */
export function visit(): number {
  return at.visit;
}

/** The route of a fragment, and the token in it. Pure. */
export function parse(hash: string): { route: Route; token: string | null } {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const token = new URLSearchParams(query).get("token");
  if (path === "" || path === "/") return { route: { name: "home" }, token };
  if (path === "/host") return { route: { name: "host" }, token };
  const space = /^\/s\/([a-z0-9-]{1,40})\/stage$/.exec(path)?.[1];
  return { route: space ? { name: "stage", space } : { name: "nowhere" }, token };
}

function look(): void {
  const found = parse(location.hash);
  const { token } = found;
  if (token && (found.route.name === "host" || found.route.name === "stage")) {
    const space = found.route.name === "stage" ? found.route.space : null;
    // A damaged link must not throw out a good pass.
    if (read(token)) keep(space, token);
    history.replaceState(null, "", location.pathname + location.search + (space ? `#/s/${space}/stage` : "#/host"));
  }
  at.route = found.route;
  at.visit += 1;
  scrollTo(0, 0);
}

export function go(hash: string): void {
  location.hash = hash;
}

addEventListener("hashchange", look);
look();
