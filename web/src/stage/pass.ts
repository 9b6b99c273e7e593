/**
 * What a pass of the stage says about itself (docs/formats/pass.md), and where this tab keeps it.
 *
 * Nothing here checks a signature: that is the house's work. We only read who we are, to show the right page.
 */

export type Kind = "create" | "invite" | "guest" | "speak" | "host" | "operate";

export interface Pass {
  token: string;
  kind: Kind;
  /** Unix seconds. */
  expires: number;
  space: string | null;
  participant: string | null;
  name: string | null;
}

const KINDS: Record<string, Kind> = { C: "create", I: "invite", A: "guest", S: "speak", H: "host", O: "operate" };
const TOKEN_CHARS_MAX = 300;

/** The pass in `token`, or `null` if it is not one of the stage's. */
export function read(token: string): Pass | null {
  if (token.length > TOKEN_CHARS_MAX) return null;
  let bytes: Uint8Array;
  try {
    bytes = Uint8Array.from(atob(token.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  } catch {
    return null;
  }
  // version, kind, id(8), expires(8, little endian), then texts with a length byte each; 64 bytes of signature at the end.
  const kind = KINDS[String.fromCharCode(bytes[1] ?? 0)];
  if (bytes[0] !== 1 || !kind || bytes.length < 18 + 64) return null;
  const expires = Number(new DataView(bytes.buffer).getBigUint64(10, true));
  let at = 18;
  const text = () => {
    const length = bytes[at] ?? 0;
    const end = at + 1 + length;
    const found = at < bytes.length - 64 && end <= bytes.length - 64 ? new TextDecoder().decode(bytes.subarray(at + 1, end)) : null;
    at = end;
    return found;
  };
  return { token, kind, expires, space: text(), participant: text(), name: text() };
}

/**
 * One slot for creating, one for running the server, one per space: in this tab only, gone when it is closed. Whoever only asks for the word has a slot beside it,
 * since nobody has invited them to the stage.
 */
const slot = (space: string | null, kind?: Kind) =>
  kind === "operate" ? "hiwar:operate" : space ? `hiwar:${kind === "guest" ? "guest" : "stage"}:${space}` : "hiwar:host";

/** A private window without storage still works, until the page is reloaded. */
const memory = new Map<string, string>();

export function keep(space: string | null, token: string): void {
  put(slot(space, read(token)?.kind), token);
}

/** The pass for the stage, or to create; for whoever has none, the one to ask for the word. */
export function kept(space: string | null): Pass | null {
  const token = get(slot(space)) ?? (space && get(slot(space, "guest")));
  return token ? read(token) : null;
}

/** The pass of whoever runs the server. */
export function keptOperator(): Pass | null {
  const token = get(slot(null, "operate"));
  return token ? read(token) : null;
}

/** A pass to ask for the word that is good no more. */
export function forget(space: string): void {
  memory.delete(slot(space, "guest"));
  try {
    sessionStorage.removeItem(slot(space, "guest"));
  } catch {
    // See `memory`.
  }
}

/** The pass to hear a space with invited listeners. */
export function keepHearing(space: string, pass: string): void {
  put(`hiwar:listen:${space}`, pass);
}

export function keptHearing(space: string): string | null {
  return get(`hiwar:listen:${space}`);
}

function put(slot: string, token: string): void {
  memory.set(slot, token);
  try {
    sessionStorage.setItem(slot, token);
  } catch {
    // Then it lasts as long as the page.
  }
}

function get(slot: string): string | null {
  try {
    return memory.get(slot) ?? sessionStorage.getItem(slot);
  } catch {
    return null;
  }
}
