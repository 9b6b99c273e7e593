/**
 * The page of one space: who speaks, one large button, how late the sound is; the replay when it is over.
 *
 * No framework and no second request: everything it needs to know stands in the JSON island, everything new comes inside the sound.
 */
import { Player, type State } from "../player/player";
import type { SpaceEvent, Speaker } from "../player/event";
import { apply, choose, parts, store, stored, type Language } from "../text/language";
import { Replay, type Recording } from "./replay";
import { Rewind } from "./rewind";
import { numbers, say, speak } from "./text";
import { by, entitle, icon, people, put } from "./view";

interface Space {
  id: string;
  title: string;
  state: "scheduled" | "live" | "ended" | "posted";
  language?: string;
  speakers?: Speaker[];
  replay?: Recording | null;
  listen?: { hls?: string };
  recording?: "on" | "off" | "paused";
  removed_at?: string | null;
}

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

const space = island();
const pass = new URLSearchParams(location.search).get("pass");
const query = pass ? `?pass=${encodeURIComponent(pass)}` : "";
const audio = by<HTMLAudioElement>("audio");
let language: Language = choose(location.search, stored(), navigator.languages);
let speakers = space.speakers ?? [];
let speaking: string | null = speakers.find((speaker) => speaker.speaking)?.id ?? null;
/** The house is lost and is being started again. */
let away = false;
let over = space.state === "ended" || space.state === "posted";

const replay = new Replay(space.id, query);
const player = new Player({
  audio,
  space: space.id,
  hls: (space.listen?.hls ?? "/hls/").replace(/[^/]*$/, ""),
  pass,
  begun: () => space.state === "live",
  onState: (state) => {
    // What was said on another connection, or before a pause, says nothing of now.
    if (["idle", "connecting", "reconnecting"].includes(state)) away = false;
    if (state === "ended") end();
    else render();
  },
  onEvent,
  onBehind: () => render(),
});
const rewind = new Rewind(player, () => !over && player.measured && ["playing", "reconnecting"].includes(player.state));

/** What the server knew; an empty island is a page of a space that there is not. */
function island(): Space {
  try {
    return JSON.parse(by("space").textContent!) as Space;
  } catch {
    return { id: "", title: "", state: "ended" };
  }
}

function onEvent(event: SpaceEvent): void {
  away = event.t === "away";
  if (event.t === "speaking") speaking = event.id;
  if (event.t === "stage") {
    speakers = event.speakers;
    if (event.title) space.title = event.title;
    if (event.state === "live") space.state = "live";
    if (event.recording === "on" || event.recording === "off") space.recording = event.recording;
  }
  render();
}

function end(): void {
  if (over) return;
  over = true;
  space.state = "ended";
  void replay.begin(null, space.recording !== "off");
  render();
}

/** Draws everything; cheap enough to be done at every change. */
function render(): void {
  const state = player.state;
  const wanted = !["idle", "blocked", "refused", "missing", "unsupported", "ended"].includes(state);
  for (const element of document.querySelectorAll<HTMLElement>("[data-text]")) element.textContent = say(element.dataset.text!);
  put("lang", say("language-other"));
  const title = space.title || say("page-untitled");
  document.title = say("page-title", { title: parts(title, language)[0] }).replace(/[\u2068\u2069]/g, "");
  entitle(by("title"), title, language);
  by("title").lang = space.language ?? "";
  by("state").hidden = !space.id;
  by("state").classList.toggle("on", space.state === "live");
  put("state-text", say(`page-${space.state ?? "scheduled"}`));
  by("live").hidden = over;
  by("over").hidden = !over;
  if (over && !space.id) put("replay-notice", say("player-missing"));
  else if (over) replay.render();
  else {
    put("count", speakers.length ? say("page-speaker-count", { count: speakers.length }) : say("page-empty-stage"));
    // Who spoke when the page was made is no news: only a listener's page knows who speaks now.
    const heard = space.state === "live" && state === "playing";
    people(by("stage"), speakers, heard ? speaking : null, language);
    const talks = speakers.find((speaker) => speaker.id === speaking);
    put("now", !heard ? "" : talks ? say("page-now", { name: parts(talks.name, language)[0] }) : say("page-nobody"));
    icon("press-icon", wanted ? "pause" : "play");
    put("press-text", say(wanted ? "player-pause" : "player-listen"));
    by("press").classList.toggle("busy", wanted && state !== "playing");
    const notice = away && ["playing", "waiting", "reconnecting"].includes(state) ? "player-away" : NOTICES[state];
    put("notice", notice ? say(notice) : "");
    by("elsewhere").hidden = state !== "unsupported";
    by("volume").setAttribute("aria-label", say("player-volume"));
    rewind.render();
    late();
  }
  announceToSystem(title);
}

/** The lateness to a tenth of a second, because more would be invented. */
function late(): void {
  if (rewind.tick()) return;
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
  const artist = speakers.find((speaker) => speaker.id === speaking)?.name ?? say("brand");
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
  // Set by the app when this reader opened a speaking or hosting link in this tab.
  if (!over && sessionStorage.getItem(`hiwar:stage:${space.id}`)) {
    by<HTMLAnchorElement>("stage-link").href = `/#/s/${space.id}/stage`;
    by("to-stage").hidden = false;
  }
} catch {
  // No storage, no pass.
}

turn(language);
if (over && space.id) void replay.begin(space.replay ?? null, space.recording !== "off", space.removed_at);
setInterval(late, 1_000);
