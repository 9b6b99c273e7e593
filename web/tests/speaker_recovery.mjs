// What breaks while somebody speaks: the event stream, the house. The client offers again by itself, a muted microphone stays muted, the
// listener's one connection stays. And one pass in two places: the older gives way and says so, nobody fights.
import assert from "node:assert/strict";
import { CREATE, fine, hostUntilStage, launch, levelNow, ORIGIN, page as open, pressAndHear, SUPERVISOR, until } from "./browser.mjs";
import { Relay } from "./relay.mjs";
import { house } from "./server.mjs";

assert.ok(CREATE, "HIWAR_HOST_LINK is the link that the server printed");
const { stage_origin } = await (await fetch(`${ORIGIN}/api/spaces/v1/config`)).json();
const browser = await launch();
const measured = {};
/** Longer than any wait of ours between attempts after one break: a second offer would have come. */
const CALM_MS = 3_000;

/** A page that counts its answered offers. */
async function speaker(look) {
  const who = await open(browser, look);
  who.offers = 0;
  who.page.on("response", (response) => {
    const request = response.request();
    if (request.method() === "POST" && request.url().includes("/whip/") && response.status() === 201) who.offers += 1;
  });
  return who;
}

async function onAir(lang, title) {
  const who = await speaker({ lang });
  await hostUntilStage(who.page, { lang, title, name: "Layla", audience: "unlisted" });
  await who.page.click("#start");
  await who.page.waitForSelector(".sentence.air");
  assert.equal(who.offers, 1);
  return who;
}

const calm = () => new Promise((resolve) => setTimeout(resolve, CALM_MS));

async function eventsBreak() {
  const relay = await Relay.before(stage_origin);
  try {
    const who = await speaker({ lang: "en" });
    await who.page.route("**/api/spaces/v1/config", (route) => route.fulfill({ json: { stage_origin: relay.origin } }));
    await hostUntilStage(who.page, { lang: "en", title: "A line that breaks", name: "Layla", audience: "unlisted" });
    await who.page.click("#start");
    await who.page.waitForSelector(".sentence.air");
    await who.page.click("#mute");
    relay.cut();
    const broke = Date.now();
    await until("it tried while refused", () => relay.refused > 1);
    relay.mend();
    await until("a second offer is answered", () => who.offers === 2, 12_000);
    measured.line_back_ms = Date.now() - broke;
    await until("it is muted on the stage", async () => (await who.page.textContent(".sentence")) === "You are muted");
    assert.equal(await who.page.getAttribute("#mute", "aria-pressed"), "true");
    await until("the stage shows one of us", async () => (await who.page.locator(".stage .here li").count()) === 1);
    await calm();
    assert.equal(who.offers, 2, "and then it is quiet");
    assert.deepEqual(who.errors, []);
    await who.close();
  } finally {
    relay.close();
  }
}

async function houseDies() {
  const who = await onAir("ar", "بيت يُعاد تشغيله");
  const listen = await who.page.inputValue("#share-listen");
  const ear = await open(browser, { lang: "ar" });
  let asked = 0;
  ear.page.on("request", (request) => request.url().includes("/listen/") && (asked += 1));
  await ear.page.goto(listen);
  await pressAndHear(ear.page, "#press");

  const before = house(SUPERVISOR);
  process.kill(before, "SIGKILL");
  const killed = Date.now();
  await until("the offer is answered again", () => who.offers === 2, 5_000);
  measured.house_offer_ms = Date.now() - killed;
  await who.page.waitForSelector(".sentence.air", { timeout: 5_000 });
  measured.house_on_air_ms = Date.now() - killed;
  // What was in hand when the house died is played out; then the level counts.
  await until("the gap is heard or already over", async () => (await levelNow(ear.page)) < 0.0005 || Date.now() - killed > 2_500);
  await until("the listener hears the speaker again", async () => (await levelNow(ear.page)) > 0.003);
  measured.house_heard_again_ms = Date.now() - killed;
  assert.equal(asked, 1, "the listener kept the one connection");
  await until("the stage shows one of us", async () => (await who.page.locator(".stage .here li").count()) === 1);
  await calm();
  assert.equal(who.offers, 2, "and then it is quiet");

  // The conversation can be ended as ever, and its replay has both halves.
  await who.page.click("#end");
  await who.page.click("#end-yes");
  await ear.page.waitForSelector("#replay:not([hidden])", { timeout: 25_000 });
  assert.deepEqual([...who.errors, ...ear.errors], []);
  await who.close();
  await ear.close();
}

async function twoTabs(lang) {
  const first = await onAir(lang, "Two tabs");
  const fragment = `${ORIGIN}/?lang=${lang}#/s/${/\/s\/([a-z0-9]+)\/stage/.exec(first.page.url())[1]}/stage`;
  const token = await first.page.evaluate(() => Object.entries(sessionStorage).find(([key]) => key.startsWith("hiwar:stage:"))[1]);

  // Another tab of the same browser: known at once.
  const second = await first.page.context().newPage();
  await second.goto(`${fragment}?token=${token}`);
  await second.click("#mic-allow");
  await second.click("#mic-go");
  await second.waitForSelector(".sentence.air");
  await first.page.waitForSelector("#rejoin");
  await fine(first.page, lang, "stage-elsewhere");

  // Another device: known when the session is found gone.
  const far = await speaker({ lang });
  await far.page.goto(`${fragment}?token=${token}`);
  await far.page.click("#mic-allow");
  await far.page.click("#mic-go");
  await far.page.waitForSelector(".sentence.air");
  const taken = Date.now();
  await second.waitForSelector("#rejoin", { timeout: 20_000 });
  (measured.told_on_another_device_ms ??= []).push(Date.now() - taken);
  await calm();
  assert.equal(far.offers, 1, "nobody fights");
  assert.equal(await far.page.locator(".sentence.air").count(), 1);
  assert.deepEqual([...first.errors, ...far.errors], []);
  await far.close();
  await first.close();
}

try {
  await Promise.all([eventsBreak(), twoTabs("ar"), twoTabs("en")]);
  if (SUPERVISOR) await houseDies();
} finally {
  await browser.close();
}
console.log(JSON.stringify({ test: "speaker_recovery", ...measured }));
