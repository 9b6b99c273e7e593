/**
 * The page of one space: who speaks, one large button, how late the sound is; the replay when it is over.
 *
 * No framework and no second request: everything it needs to know stands in the JSON island, everything new comes inside the sound.
 */
import { Player, type State } from "../player/player";
import type { Postponed, SpaceEvent, Speaker } from "../player/event";
import { apply, choose, parts, store, stored, type Language } from "../text/language";
import { moment } from "../text/time";
import type { Rates } from "../react/kinds";
import { Replay, type Recorded } from "./replay";
import type { Rewind } from "../rewind/page";
import { numbers, say, speak } from "./text";
import { by, entitle, icon, people, put } from "./view";

interface Space extends Recorded {
  id: string;
  title: string;
  state: "scheduled" | "open" | "live" | "ended" | "posted" | "cancelled";
  language?: string;
  speakers: Speaker[];
  starts_at?: string | null;
  doors_at?: string | null;
  awaits_host?: boolean;
  postponed?: Postponed | null;
  cancel_reason?: string | null;
  asking?: "everybody" | "nobody";
  listen?: { hls?: string };
  /** How crowded it is, 0 to 5: said inside the sound. */
  level?: number;
}

/** The address of the script with the row of reactions, by its hash. */
declare const __REACT__: string;
/** Of the one for going back. */
declare const __REWIND__: string;
/** And of the one for whoever waits at the door. */
declare const __WAIT__: string;

/** Which sentence stands under the button. */
const NOTICES: Partial<Record<State, string>> = {
  connecting: "player-connecting",
  waiting: "player-waiting",
  reconnecting: "player-reconnecting",
  blocked: "player-blocked",
  refused: "player-refused",
  missing: "player-missing",
  unsupported: "player-unsupported",
};

/** All who wait for the doors come within so long after they open. */
const SPREAD_MS = 10_000;
/** By this reader's clock they should be open. */
const EARLY_MS = 30_000;
/** Browsers count no further than some days more. */
const TIMER_MS_MAX = 2e9;

const space = island();
const asked = new URLSearchParams(location.search);
const pass = asked.get("pass");
const query = pass ? `?pass=${encodeURIComponent(pass)}` : "";
const audio = by<HTMLAudioElement>("audio");
let language: Language = choose(location.search, stored(), navigator.languages);
/** Set by the app when this reader opened a speaking or hosting link in this tab. */
let hasStage = false;
let speaking: string | null = null;
/** The house is lost and is being started again. */
let away = false;
let rates: Rates | undefined;
/** Fetched when there is something to react to. */
let react: Promise<((rates: Rates | undefined, shown: boolean) => void) | void> | undefined;
let over = ["ended", "posted", "cancelled"].includes(space.state);

const replay = new Replay(space.id, query);
const player = new Player({
  audio,
  space: space.id,
  hls: (space.listen?.hls ?? "/hls/").replace(/[^/]*$/, ""),
  pass,
  voucher: asked.get("voucher"),
  begun: () => space.state === "live",
  queue: (told, signal) => (import(/* @vite-ignore */ __WAIT__) as Promise<typeof import("../wait/page")>).then(({ queue }) => queue(space, told, signal)),
  onState: (state) => {
    // What was said on another connection, or before a pause, says nothing of now.
    if (["idle", "connecting", "reconnecting"].includes(state)) away = false;
    if (state === "ended") end("ended");
    else render();
  },
  onEvent,
  onBehind: () => render(),
});
let rewind: Rewind | undefined;
/** Fetched when there is something to go back in. */
let rewinding: Promise<void> | undefined;
const canRewind = () => !over && player.measured && ["playing", "reconnecting"].includes(player.state);

/** What the server knew; an empty island is a page of a space that there is not. */
function island(): Space {
  try {
    return JSON.parse(by("space").textContent!) as Space;
  } catch {
    return { id: "", title: "", state: "ended", speakers: [] };
  }
}

function onEvent(event: SpaceEvent): void {
  away = event.t === "away";
  if (event.t === "speaking") speaking = event.id;
  if (event.t === "reactions") rates = event.rates;
  if (event.t === "stage") Object.assign(space, { awaits_host: false, level: 0, asking: event.asks == null ? "nobody" : "everybody" }, event);
  if (event.t === "postponed") space.starts_at = (space.postponed = event).starts_at;
  if (event.t === "ended" && event.cancelled) {
    space.cancel_reason = event.reason;
    end("cancelled");
  }
  render();
}

function end(how: "ended" | "cancelled"): void {
  if (over) return;
  over = true;
  space.state = how;
  if (how === "ended") void replay.begin(space);
  render();
}

/** When it begins, and what it waits for; or that it does not. */
function when(): string {
  const { state, postponed, starts_at, doors_at } = space;
  const lines: (string | false | null | undefined)[] = [];
  if (state === "cancelled") lines.push(say("page-cancelled-why"), space.cancel_reason);
  else if (state === "scheduled" || state === "open") {
    if (postponed) lines.push(say("page-postponed"), postponed.reason);
    if (starts_at) lines.push(say("page-begins", { when: moment(starts_at, numbers()) }));
    if (space.awaits_host) lines.push(say("page-awaits"));
    if (state === "scheduled" && doors_at) lines.push(say("page-doors", { when: moment(doors_at, numbers()) }));
  }
  return lines.filter(Boolean).join("\n");
}

/** Draws everything; cheap enough to be done at every change. */
function render(): void {
  const state = player.state;
  const wanted = !["idle", "blocked", "refused", "missing", "unsupported", "ended"].includes(state);
  for (const element of document.querySelectorAll<HTMLElement>("[data-text]")) element.textContent = say(element.dataset.text!);
  put("lang", say("language-other"));
  const title = space.title || say("brand");
  document.title = say("page-title", { title: parts(title, language)[0] }).replace(/[\u2068\u2069]/g, "");
  entitle(by("title"), title, language);
  by("title").lang = space.language ?? "";
  by("state").hidden = !space.id;
  by("state").classList.toggle("on", space.state === "live");
  put("state-text", say(`page-${space.state}`));
  by("recording").hidden = over || space.recording !== "on";
  put("when", when());
  by("to-stage").hidden = over || !(hasStage || (space.asking === "everybody" && space.state !== "scheduled"));
  by<HTMLAnchorElement>("stage-link").href = `/#/s/${space.id}/${hasStage ? "stage" : "ask" + query}`;
  put("stage-link", say(hasStage ? "page-stage-link" : "page-ask"));
  by("live").hidden = over;
  by("over").hidden = !over;
  if (over && !space.id) put("replay-notice", say("player-missing"));
  else if (over) replay.render();
  else {
    const { speakers, level } = space;
    by("player").hidden = space.state === "scheduled";
    put("count", say(speakers.length ? "page-speakers" : "page-empty-stage"));
    // Who spoke when the page was made is no news: only a listener's page knows who speaks now.
    const heard = space.state === "live" && state === "playing";
    people(by("stage"), speakers, heard ? speaking : null, language);
    const talks = speakers.find((speaker) => speaker.id === speaking);
    put("now", !heard ? "" : talks ? say("page-now", { name: parts(talks.name, language)[0] }) : say("page-nobody"));
    icon("press-icon", wanted ? "pause" : "play");
    put("press-text", say(wanted ? "player-pause" : "player-listen"));
    by("press").classList.toggle("busy", wanted && state !== "playing");
    const notice = away && ["playing", "waiting", "reconnecting"].includes(state) ? "player-away" : NOTICES[state === "playing" && space.state === "open" ? "waiting" : state];
    if (state !== "queued") put("notice", notice ? say(notice) : "");
    by("elsewhere").hidden = state !== "unsupported";
    by("crowd").hidden = !heard || !level;
    if (level) put("level", say("page-level", { level }));
    by("volume").setAttribute("aria-label", say("player-volume"));
    if (canRewind()) {
      rewinding ??= (import(/* @vite-ignore */ __REWIND__) as Promise<typeof import("../rewind/page")>).then(
        ({ Rewind }) => {
          rewind = new Rewind(player, canRewind);
          render();
        },
        () => {},
      );
    }
    rewind?.render();
    if (heard) react ??= (import(/* @vite-ignore */ __REACT__) as Promise<typeof import("../react/page")>).then(({ row }) => row(space.id, query)).catch(() => {});
    // Whoever went back hears what is over.
    void react?.then((draw) => draw?.(rates, space.state === "live" && wanted && !player.place()));
    late();
  }
  announceToSystem(title);
}

/** The lateness to a tenth of a second, because more would be invented. */
function late(): void {
  if (rewind?.tick()) return;
  const seconds = player.lateness();
  let text = "";
  if (seconds !== null) {
    const tenth = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
    text = say("player-latency", { seconds: new Intl.NumberFormat(numbers(), tenth).format(seconds) });
    if (player.crowded) text += " " + say("player-crowded");
  } else if (player.state === "playing" && !player.measured) text = say("player-latency-hls");
  put("late", text);
}

/** The lock screen shows what is heard, and its keys work. */
function announceToSystem(title: string): void {
  if (!("mediaSession" in navigator) || player.state === "idle") return;
  const artist = space.speakers.find((speaker) => speaker.id === speaking)?.name ?? say("brand");
  const shown = navigator.mediaSession.metadata;
  if (shown?.title === title && shown.artist === artist) return;
  navigator.mediaSession.metadata = new MediaMetadata({ title, artist });
}

function turn(to: Language): void {
  language = to;
  apply(to);
  speak(to);
  const other = to === "ar" ? "en" : "ar";
  const link = by<HTMLAnchorElement>("lang");
  const search = new URLSearchParams(location.search);
  search.set("lang", other);
  link.href = `?${search}`;
  link.lang = link.hreflang = other;
  render();
}

by("lang").onclick = (event) => {
  // In place, so that the sound goes on.
  event.preventDefault();
  const other = language === "ar" ? "en" : "ar";
  store(other);
  const address = new URL(location.href);
  address.searchParams.set("lang", other);
  history.replaceState(null, "", address);
  turn(other);
};

by("press").onclick = () => {
  if (["idle", "blocked", "refused", "missing", "unsupported"].includes(player.state)) player.listen();
  else player.stop();
};

const volume = by<HTMLInputElement>("volume");
volume.oninput = () => (audio.volume = Number(volume.value));

by<HTMLAnchorElement>("elsewhere-link").href = `/listen/${space.id}.mp3${query}`;
navigator.mediaSession?.setActionHandler("play", () => (over ? void audio.play() : player.listen()));
navigator.mediaSession?.setActionHandler("pause", () => (over ? audio.pause() : player.stop()));

try {
  hasStage = !!sessionStorage.getItem(`hiwar:stage:${space.id}`);
} catch {
  // No storage, no pass.
}

if (space.state === "scheduled") {
  // When the doors open the page comes again, once; by a clock that is wrong it looks now and then.
  const left = Date.parse(space.doors_at!) - Date.now();
  setTimeout(() => location.reload(), Math.min(left > 0 ? left : EARLY_MS, TIMER_MS_MAX) + Math.random() * SPREAD_MS);
}

turn(language);
if (over && space.id && space.state !== "cancelled") void replay.begin(space);
setInterval(late, 1_000);
