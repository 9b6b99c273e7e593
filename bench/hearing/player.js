// One player of others, set to low latency and nothing else: ?with=hlsjs|shaka&src=PLAYLIST. It plays at the press of #press.
//
// globalThis.player.facts(): how it went. A stall is a moment in which the element has nothing to play, after it has played.
/* global Hls, shaka */
const asked = new URLSearchParams(location.search);
const audio = document.querySelector("audio");
const errors = [];
let stalls = 0;
let began = false;
let stalledAt = null;
let stalled_ms = 0;
const rates = new Set([1]);
audio.addEventListener("playing", () => {
  began = true;
  if (stalledAt !== null) stalled_ms += performance.now() - stalledAt;
  stalledAt = null;
});
audio.addEventListener("waiting", () => {
  if (!began) return;
  stalls += 1;
  stalledAt ??= performance.now();
});
audio.addEventListener("ratechange", () => rates.add(audio.playbackRate));

const players = {
  hlsjs(src) {
    const hls = new Hls({ lowLatencyMode: true });
    hls.on(Hls.Events.ERROR, (_, { details, fatal }) => errors.push(fatal ? `fatal ${details}` : details));
    hls.loadSource(src);
    hls.attachMedia(audio);
    audio.play().catch((error) => errors.push(`fatal ${error}`));
    return () => ({ latency_s: hls.latency, target_latency_s: hls.targetLatency });
  },
  shaka(src) {
    shaka.polyfill.installAll();
    const player = new shaka.Player();
    player.configure({ streaming: { lowLatencyMode: true } });
    player.addEventListener("error", ({ detail }) => errors.push(`${detail.severity === 2 ? "fatal " : ""}${detail.code} ${detail.data?.slice(0, 4).map(String).join(" ").slice(0, 300)}`));
    // Loading takes away what was asked of the element before.
    player.attach(audio).then(() => player.load(src)).then(() => audio.play()).catch((error) => errors.push(`fatal ${error.code ?? error}`));
    return () => ({ latency_s: player.getStats().liveLatency, target_latency_s: player.getManifest()?.presentationTimeline?.getDelay() ?? null });
  },
};

let more = () => ({});
document.querySelector("#press").addEventListener("click", () => {
  more = players[asked.get("with")](asked.get("src"));
});

globalThis.player = {
  facts: () => ({ stalls, stalled_ms: Math.round(stalled_ms), errors: errors.slice(0, 20), rates: [...rates], media_error: audio.error?.message ?? null, version: { hlsjs: Hls.version, shaka: shaka.Player.version }[asked.get("with")], played_s: audio.currentTime, ...more() }),
};
