/** Where we are, from the fragment of the address. A pass in it is taken out before anything else sees the address. */
import { keep, keepHearing, read } from "../stage/pass";

export type Route =
  | { name: "home" }
  | { name: "host" }
  | { name: "stage"; space: string; asks: boolean }
  | { name: "watch"; space: string | null }
  | { name: "nowhere" };

const at = $state<{ route: Route; visit: number }>({ route: { name: "nowhere" }, visit: 0 });

export function route(): Route {
  return at.route;
}

/** Changes with every navigation, also one to the same place (a second link for the same stage). */
export function visit(): number {
  return at.visit;
}

/** The route of a fragment, and the passes in it: the token of an invitation, and the pass to hear a space with invited listeners. Pure. */
export function parse(hash: string): { route: Route; token: string | null; hearing: string | null } {
  const [path = "", query = ""] = hash.replace(/^#/, "").split("?", 2);
  const values = new URLSearchParams(query);
  const passes = { token: values.get("token"), hearing: values.get("pass") };
  if (path === "" || path === "/") return { route: { name: "home" }, ...passes };
  if (path === "/host") return { route: { name: "host" }, ...passes };
  if (path === "/operate") return { route: { name: "watch", space: null }, ...passes };
  const [, space, way] = /^\/s\/([a-z0-9-]{1,40})\/(stage|ask|numbers)$/.exec(path) ?? [];
  if (space && way === "numbers") return { route: { name: "watch", space }, ...passes };
  return { route: space ? { name: "stage", space, asks: way === "ask" } : { name: "nowhere" }, ...passes };
}

function look(): void {
  const { route, token, hearing } = parse(location.hash);
  if ((token || hearing) && route.name !== "home" && route.name !== "nowhere") {
    const space = route.name === "host" ? null : route.space;
    // A damaged link must not throw out a good pass.
    if (token && read(token)) keep(space, token);
    if (hearing && space) keepHearing(space, hearing);
    history.replaceState(null, "", location.pathname + location.search + location.hash.split("?")[0]);
  }
  at.route = route;
  at.visit += 1;
  scrollTo(0, 0);
}

export function go(hash: string): void {
  location.hash = hash;
}

addEventListener("hashchange", look);
look();
