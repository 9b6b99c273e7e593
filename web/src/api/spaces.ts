/**
 * Our JSON API as the app uses it. Whoever holds a pass talks to the stage's origin, which stays reachable when the
 * public one is full; a listener's questions go to the public origin, where this app comes from.
 */
import type { Postponed, Speaker } from "../player/event";
import type { Rates } from "../react/kinds";

export type Audience = "public" | "unlisted" | "invited";
/** scheduled: the doors are shut. open: the stage gathers and hears itself, and the audience hears what comes before it. */
export type SpaceState = "scheduled" | "open" | "live" | "ended" | "posted" | "cancelled";
export type Begins = "by-itself" | "by-hand";
/** When a recording is posted: as soon as it is made, or when the host has heard it. */
export type Posting = "at_once" | "after_review";
export type Asking = "everybody" | "nobody";
export type Role = "host" | "co-host" | "speaker" | "listener";
export type Standing = "welcome" | "removed" | "blocked";
/** How far somebody is on their way to the stage. called: a seat is offered. coming: they have accepted it. */
export type Presence = "away" | "called" | "coming" | "on-stage";

/** What everybody may know of a space who may know of it at all. Times are RFC 3339. */
export interface Space {
  id: string;
  title: string;
  state: SpaceState;
  audience: Audience;
  language: string | null;
  starts_at: string | null;
  doors_at: string | null;
  /** `null`: no time was said. */
  begins: Begins | null;
  /** It is time, and it begins when somebody comes who hosts. */
  awaits_host: boolean;
  postponed: Postponed | null;
  cancelled_at: string | null;
  cancel_reason: string | null;
  started_at: string | null;
  ended_at: string | null;
  asking: Asking;
  /** Whoever only has the speakers' link must be called. */
  locked: boolean;
  /** Hands that are up. */
  asks: number;
  page: string;
  listen?: { hls?: string };
  speakers: Speaker[];
  listeners: number;
  crowd: { joined: number; turned_away: number };
  /** Absent while nobody knows. */
  ladder?: Ladder;
  /** In the last second. */
  reactions?: Rates;
  /** review: it waits for the host's word; only those who host are told. */
  recording: "on" | "off" | "paused" | "review";
  posting: Posting;
  replay: { mp4?: string; ogg?: string } | null;
}

/** Somebody whom a space knows. */
export interface Person {
  id: string;
  name: string;
  role: Role;
  standing: Standing;
  muted: boolean;
  presence: Presence;
}

/** What somebody is here, for themselves. */
export interface You extends Person {
  agreed: boolean;
  /** Seconds until the seat is offered to others; `null` if none is. */
  answer_within_s: number | null;
  /** How many ask before them; `null` if they do not ask. */
  place: number | null;
}

/** The stage as one person sees it. */
export interface Stage {
  you: You;
  /** It is recorded, and you have not said that you know. */
  consent_needed: boolean;
  /** Who asks, first first. For hosts and co-hosts; others see none. */
  hands: { id: string; name: string }[];
  /** Everybody that the space knows. For hosts and co-hosts; others see none. */
  people: Person[];
  /** What the audience hears until the start, if it was given. For hosts and co-hosts; others see none. */
  hold_music: { duration_ms: number } | null;
  /** For hosts and co-hosts; `null` where there is none. */
  door?: Door | null;
}

/** What can be done to somebody on a stage, or about to be. */
export type Action =
  | "mute"
  | "unmute"
  | "call"
  | "dismiss"
  | "send-back"
  | "remove"
  | "block"
  | "pardon"
  | "make-co-host"
  | "unmake-co-host"
  | "hand-over";

/** How crowded it is, 0 to 5, why, and what that means, by language. */
export interface Ladder {
  level: number;
  reasons: string[];
  since: string;
  says: Record<string, string>;
}

/** A door: how it is, and what happened at it since the house opened it. */
export interface Door {
  places: number;
  inside: number;
  waiting: number;
  /** By class. Whoever returns does not wait. */
  waiting_by_class: Record<string, number>;
  without_time: number;
  is: "open" | "gathering" | "queue";
  /** Requests: whoever waits asks more than once. */
  asked: number;
  /** Of these, those of whoever had not been here. */
  arrived: number;
  /** People let in, by class. */
  entered: Record<string, number>;
  /** People let in at the time that they had been told, or soon after; by class. */
  kept: Record<string, number>;
  /** And of those who had been told one, later; by class. */
  late: Record<string, number>;
  /** Requests that were told to come again, and promised nothing. */
  away: number;
}

export interface Created {
  space: Space;
  host_pass: string;
}

/** To send to people. The first carries a pass. */
export interface Links {
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

  /** The last part of the type: `not-agreed`. */
  get kind(): string {
    return this.type.replace(/.*\//, "");
  }
}

const API = "/api/spaces/v1";
let stageAt: Promise<string> | null = null;

/** The origin for those who hold a pass; our own if the server does not name one. */
export function stageOrigin(): Promise<string> {
  stageAt ??= ask<{ stage_origin?: string }>("", "/config").then(
    (config) => (config.stage_origin ?? "").replace(/\/$/, ""),
    () => {
      // Ask again next time; until then the public origin forwards.
      stageAt = null;
      return "";
    },
  );
  return stageAt;
}

export async function list(): Promise<Space[]> {
  return (await ask<{ spaces: Space[] }>("", "/spaces")).spaces;
}

export async function one(id: string, token: string | null): Promise<Space> {
  return spaceIn(await (token ? asHolder<Answer>(token, "GET", at(id)) : ask<Answer>("", at(id))));
}

/** A space for whoever was invited to hear it. */
export async function oneHeard(id: string, listenPass: string): Promise<Space> {
  return spaceIn(await ask<Answer>("", `${at(id)}?pass=${encodeURIComponent(listenPass)}`));
}

export interface Wish {
  title: string;
  host_name: string;
  audience: Audience;
  language: string;
  recording: "on" | "off";
  /** What is heard of each speaker is kept, so that somebody can withdraw. */
  tracks: "on" | "off";
  /** Whoever hears the recording may make clips of it. */
  clips: "on" | "off";
  posting: Posting;
  asking: Asking;
  /** RFC 3339; without, the doors are open from the first, and it begins by hand. */
  starts_at?: string;
  doors_minutes?: number;
  begins?: Begins;
}

export function create(token: string, wish: Wish): Promise<Created> {
  return asHolder(token, "POST", "/spaces", wish);
}

/** What there is to know for whoever may make or host conversations; nothing if the server does not say. */
export function notices(token: string): Promise<Notice[]> {
  const config = asHolder<{ notices?: Notice[] }>(token, "GET", "/config");
  return config.then((answer) => answer.notices ?? [], () => []);
}

export async function start(token: string, id: string): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "POST", `${at(id)}/start`));
}

export async function end(token: string, id: string): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "POST", `${at(id)}/end`));
}

export async function postpone(token: string, id: string, startsAt: string, reason: string): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "POST", `${at(id)}/postpone`, { starts_at: startsAt, ...(reason ? { reason } : {}) }));
}

export async function cancel(token: string, id: string, reason: string): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "POST", `${at(id)}/cancel`, reason ? { reason } : {}));
}

export async function change(token: string, id: string, to: { title?: string; asking?: Asking; locked?: boolean }): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "PATCH", at(id), to));
}

/** A recording that waits for the host's word. The addresses carry a pass for it. */
export interface Review {
  mp4: string;
  ogg: string;
  /** In seconds. */
  duration: number;
}

export function review(token: string, id: string): Promise<Review> {
  return asHolder(token, "GET", `${at(id)}/review`);
}

/** Lets everybody hear the recording; without what is cut off at its ends. */
export async function post(token: string, id: string, kept: { start_ms?: number; end_ms?: number }): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "POST", `${at(id)}/post`, kept));
}

export async function deleteRecording(token: string, id: string): Promise<Space> {
  return spaceIn(await asHolder<Answer>(token, "DELETE", `${at(id)}/recording`));
}

/** A pass to speak, for whoever has an invitation. */
export function passFor(token: string, id: string, name: string): Promise<{ pass: string; participant: string }> {
  return asHolder(token, "POST", `${at(id)}/passes`, { role: "speaker", name });
}

/** A pass to ask for the word, for whoever may hear the space. */
export function guestPass(id: string, name: string, listenPass: string | null): Promise<{ pass: string; participant: string }> {
  const query = listenPass ? `?pass=${encodeURIComponent(listenPass)}` : "";
  return ask("", `${at(id)}/passes${query}`, { method: "POST", body: { role: "listener", name } });
}

export function links(token: string, id: string): Promise<Links> {
  return asHolder(token, "GET", `${at(id)}/links`);
}

export function stage(token: string, id: string): Promise<Stage> {
  return asHolder(token, "GET", `${at(id)}/stage`);
}

/** "I know that this is recorded." */
export function agree(token: string, id: string): Promise<Stage> {
  return asHolder(token, "POST", `${at(id)}/agreement`);
}

export function raiseHand(token: string, id: string): Promise<Stage> {
  return asHolder(token, "PUT", `${at(id)}/hand`);
}

export function lowerHand(token: string, id: string): Promise<Stage> {
  return asHolder(token, "DELETE", `${at(id)}/hand`);
}

/** Takes the seat that was offered. */
export function accept(token: string, id: string): Promise<Stage> {
  return asHolder(token, "POST", `${at(id)}/seat`);
}

export function decline(token: string, id: string): Promise<Stage> {
  return asHolder(token, "DELETE", `${at(id)}/seat`);
}

/** Everybody below the caller, but themselves. */
export function muteAll(token: string, id: string): Promise<Stage> {
  return asHolder(token, "POST", `${at(id)}/mute-all`);
}

export function act(token: string, id: string, participant: string, action: Action): Promise<Stage> {
  return asHolder(token, "POST", `${at(id)}/people/${encodeURIComponent(participant)}/${action}`);
}

export async function newsUrl(id: string): Promise<string> {
  return `${await stageOrigin()}${API}${at(id)}/events`;
}

const at = (id: string) => `/spaces/${encodeURIComponent(id)}`;

type Answer = { space?: Space } & Space;
const spaceIn = (answer: Answer): Space => answer.space ?? answer;

export async function asHolder<T>(token: string, method: string, path: string, body?: unknown): Promise<T> {
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
