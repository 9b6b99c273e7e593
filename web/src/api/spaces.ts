/**
 * Our JSON API as the app uses it. Whoever holds a pass talks to the stage's origin, which stays reachable when the
 * public one is full; a listener's questions go to the public origin, where this app comes from.
 */
import type { Speaker } from "../player/event";

export type Audience = "public" | "unlisted" | "invited";
export type SpaceState = "scheduled" | "live" | "ended" | "posted";

export interface Space {
  id: string;
  title: string;
  state: SpaceState;
  audience: Audience;
  language: string | null;
  started_at: string | null;
  ended_at: string | null;
  page: string;
  speakers: Speaker[];
  listeners: number;
  recording: "on" | "off" | "paused";
  replay: { mp4?: string; ogg?: string } | null;
}

export interface Created {
  space: Space;
  host_pass: string;
  host_link: string;
  speaker_link: string;
  listen_link: string;
}

/** What a host should know about the server, in the reader's language. */
export interface Notice {
  kind: string;
  title: string;
  detail: string;
}

/** A refusal or a failure. `detail` is the server's sentence in the reader's language, or empty. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly detail: string,
  ) {
    super(`${status} ${type}`);
  }
}

const API = "/api/spaces/v1";
let stage: Promise<string> | null = null;

/** The origin for those who hold a pass; our own if the server does not name one. */
export function stageOrigin(): Promise<string> {
  stage ??= ask<{ stage_origin?: string }>("", "/config").then(
    (config) => (config.stage_origin ?? "").replace(/\/$/, ""),
    () => {
      // Ask again next time; until then the public origin forwards.
      stage = null;
      return "";
    },
  );
  return stage;
}

export async function list(): Promise<Space[]> {
  return (await ask<{ spaces: Space[] }>("", "/spaces")).spaces;
}

export async function one(id: string, token: string | null): Promise<Space> {
  const path = `/spaces/${encodeURIComponent(id)}`;
  const answer = await (token ? asHolder<{ space?: Space } & Space>(token, "GET", path) : ask<{ space?: Space } & Space>("", path));
  return answer.space ?? answer;
}

export interface Wish {
  title: string;
  host_name: string;
  audience: Audience;
  language: string;
  recording: "on" | "off";
}

export function create(token: string, wish: Wish): Promise<Created> {
  return asHolder(token, "POST", "/spaces", wish);
}

/** What there is to know for whoever may make or host conversations; nothing if the server does not say. */
export function notices(token: string): Promise<Notice[]> {
  const config = asHolder<{ notices?: Notice[] }>(token, "GET", "/config");
  return config.then((answer) => answer.notices ?? [], () => []);
}

export function start(token: string, id: string): Promise<unknown> {
  return asHolder(token, "POST", `/spaces/${id}/start`);
}

export function end(token: string, id: string): Promise<unknown> {
  return asHolder(token, "POST", `/spaces/${id}/end`);
}

/** A pass to speak, for whoever has an invitation. */
export function passFor(token: string, id: string, name: string): Promise<{ pass: string; participant: string }> {
  return asHolder(token, "POST", `/spaces/${id}/passes`, { role: "speaker", name });
}

export async function newsUrl(id: string): Promise<string> {
  return `${await stageOrigin()}${API}/spaces/${id}/events`;
}

async function asHolder<T>(token: string, method: string, path: string, body?: unknown): Promise<T> {
  const origin = await stageOrigin();
  const init = { method, headers: { Authorization: `Bearer ${token}` }, body };
  try {
    return await ask<T>(origin, path, init);
  } catch (error) {
    // The stage's port may be closed by a firewall between us; only then is the public origin asked, and only
    // when nothing was answered at all.
    if (origin === "" || !(error instanceof Problem) || error.status !== 0) throw error;
    return ask<T>("", path, init);
  }
}

async function ask<T>(origin: string, path: string, init: { method?: string; headers?: Record<string, string>; body?: unknown } = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(origin + API + path, {
      method: init.method ?? "GET",
      headers: {
        "Accept-Language": document.documentElement.lang,
        ...init.headers,
        ...(init.body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
    });
  } catch {
    throw new Problem(0, "network", "");
  }
  const answer = (await response.json().catch(() => ({}))) as T & { type?: string; title?: string; detail?: string };
  if (!response.ok) throw new Problem(response.status, answer.type ?? "", answer.detail ?? answer.title ?? "");
  return answer;
}
