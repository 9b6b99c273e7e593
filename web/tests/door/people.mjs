// Who comes to a door in its tests: people with a page, and players that are no page of ours; what is said to them, and what is read aloud.
import assert from "node:assert/strict";
import { levelNow, page as open, position, pressAndHear, until } from "../browser.mjs";

export const SPACE = "demo";
export const KEY = (space) => `hiwar:ticket:${space}`;
/** A window of a minute, the counting, fifteen seconds over which people come to be told their time, and a time at which a place is sure to be free. */
export const ADMITTED_MS = 140_000;
/** Whoever comes to a door without a place may be told twice that it is a moment, before it is known that no worker has one. */
export const PRESSED_MS = 40_000;
/** The window, the counting and the spread. */
export const DRAWN_MS = 100_000;
export const WORDS = {
  ar: {
    draw: /قرعة/, place: /مكانك محجوز/, turn: /دورك محفوظ.*19.*تقدير لا وعد/, rank: /نصف ساعة/, recorded: /وستجد التسجيل هنا/, soon: /لا مكان في هذه اللحظة/, entered: /حان دورك/, calendar: /تقويمك/, title: /جاء كثيرون|مكانك محجوز|نصف ساعة|لا مكان في هذه اللحظة/,
    cancelled: /أُلغي/, over: /انتهى/, why: /لن يُعقد هذا الحوار/, preparing: /سيظهر التسجيل هنا/, cancelledPlain: /لن يُعقد/, overPlain: /حوار انتهى|استمع إلى التسجيل/,
  },
  en: {
    draw: /drawn/, place: /You have a place, in about .*\d/, turn: /Your turn is kept.*19 minutes.*no promise/, rank: /half an hour/, recorded: /The recording will be here/, soon: /no place at this moment.* in about .*\d/, entered: /your turn/, calendar: /calendar/, title: /Many people|You have a place|half an hour|No place at this moment/,
    cancelled: /Cancelled/, over: /Ended/, why: /This conversation does not take place/, preparing: /recording will be here in a moment/, cancelledPlain: /does not take place/, overPlain: /has ended|Hear the recording/,
  },
};
export const LANGUAGES = ["ar", "en"];
/** So often in a row the page is there: of two workers both have it. */
const KNOWN = 12;

/** Which ticket it is, whatever it was exchanged for (docs/formats/ticket.md). */
export const serial = (ticket) => ticket.slice(8, 18);

async function ask({ origin }, path, pass, body = {}) {
  const headers = { Authorization: `Bearer ${pass}`, "Content-Type": "application/json" };
  const response = await fetch(`${origin}/api/spaces/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json().catch(() => null);
}

/** A conversation at a server, and what its host does with it. */
export async function space(server, title) {
  const token = new URLSearchParams(server.hostLink.split("?").at(-1)).get("token");
  const { space, host_pass: pass } = await ask(server, "/spaces", token, { title, host_name: "Layla", audience: "public" });
  // Workers hear of it a moment later, one after the other; a connection of its own each time meets any of them.
  let known = 0;
  await until("every worker knows the space", async () => {
    const { status } = await fetch(`${server.origin}/s/${space.id}`, { headers: { Connection: "close" } });
    known = status === 200 ? known + 1 : 0;
    return known >= KNOWN;
  });
  return { id: space.id, pass, host: (verb, body) => ask(server, `/spaces/${space.id}/${verb}`, pass, body) };
}

/** A player that is no page of ours, and takes what is sent for as long as it is left alone; or what it is told, if it has to wait. */
export async function plain(at, space = SPACE) {
  const leaves = new AbortController();
  for (let ticket = ""; ; ) {
    const answer = await fetch(`${at}/listen/${space}.mp4?t=${ticket}`, { signal: leaves.signal });
    if (answer.ok) {
      const hears = (async () => {
        for await (const _ of answer.body);
      })().catch(() => {});
      return { leave: () => (leaves.abort(), hears) };
    }
    assert.equal(answer.status, 503, await answer.clone().text());
    const told = await answer.json();
    // Before it is known what places there are, and where another worker has one.
    if (told.stage && told.stage !== "soon") return { told };
    if (told.ticket) ticket = told.ticket;
    await new Promise((resolve) => setTimeout(resolve, told.wait_ms ?? 1_000));
  }
}

/** Players in so many places. */
export function fill(at, count, space = SPACE) {
  const one = async () => {
    const came = await plain(at, space);
    assert.ok(came.leave, `${space}: told to wait, ${JSON.stringify(came.told)}`);
    return came;
  };
  return Promise.all(Array.from({ length: count }, one));
}

/** A page, what it asked for (`shown`: the tickets), and what it was told. Everything that is said in a region that was there before is read aloud. */
export async function person(browser, lang, at, { space = SPACE, scheme = "light" } = {}) {
  const who = { lang, space, ...(await open(browser, { lang, width: 390, height: 844, scheme })) };
  await watch(who);
  await who.page.goto(`${at}/s/${space}?lang=${lang}`);
  return who;
}

const watched = [];
/** What everybody asked for and was told, in the order of their coming: for who reads why a test failed. */
export const heard = () => watched.map(({ lang, space, shown, told, began }) => JSON.stringify({ lang, space, began, asked: shown.length, told })).join("\n");

/** Sees to it that it is known what a page asks for, and what it says. */
export async function watch(who) {
  [who.shown, who.told, who.began] = [[], [], new Date().toISOString()];
  watched.push(who);
  who.page.on("request", (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname.startsWith("/listen/")) who.shown.push(searchParams.get("t"));
  });
  who.page.on("response", async (response) => {
    if (!new URL(response.url()).pathname.startsWith("/listen/") || response.status() !== 503) return;
    // By the browser's clock: what looks on may be seconds late.
    const { startTime, responseStart } = response.request().timing();
    const [asked, at] = [startTime, startTime + Math.max(0, responseStart)].map((time) => new Date(time).toISOString());
    who.told.push({ ...(await response.json().catch(() => ({}))), asked, at });
  });
  await who.page.addInitScript(() => {
    globalThis.aloud = [];
    // What a page has that is no element of it.
    globalThis.quiet = [];
    globalThis.Audio = class extends Audio {
      constructor(...given) {
        super(...given);
        globalThis.quiet.push(this);
      }
    };
    new MutationObserver((changes) => {
      for (const { target } of changes) {
        const region = (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)?.closest?.("[role=status]");
        const text = region?.textContent.trim();
        if (text && globalThis.aloud.at(-1) !== text) globalThis.aloud.push(text);
      }
    }).observe(document, { subtree: true, childList: true, characterData: true });
  });
}

export const says = (page) => page.textContent("#notice");
/** Whether the quiet sound is on that keeps a locked phone awake, over and over. */
export const hushes = ({ page }) => page.evaluate(() => globalThis.quiet.some((sound) => sound.loop && !sound.paused && sound.currentTime > 0));
/** What was read aloud since the page was loaded. */
export const aloud = (page) => page.evaluate(() => globalThis.aloud);
export const ticketOf = (who) => who.page.evaluate((key) => localStorage.getItem(key), KEY(who.space));
export const placeOf = (who) => who.page.evaluate((key) => sessionStorage.getItem(key), KEY(who.space));
export const stage = (who) => who.told.at(-1)?.stage;

/** Told so, in the region for that, and read aloud; not as one of the first so many. */
export async function isTold(who, what, ms = DRAWN_MS, from = 0) {
  const { lang, page } = who;
  await until(`${lang}: told ${what}`, async () => (await aloud(page)).slice(from).some((text) => WORDS[lang][what].test(text)), ms);
}

/** Presses, and hears when it is their turn. */
export function presses(who) {
  who.heard = pressAndHear(who.page, "#press", { limit: ADMITTED_MS });
  who.heard.catch(() => {});
  return who;
}

/** Told that it is their turn, now or before: it stands there for ten seconds, which may have passed. */
export const enters = (who) => isTold(who, "entered", ADMITTED_MS);

/** Heard, told so, with the place that it had, and without a second press. */
export async function admitted(who) {
  const { page, lang } = who;
  const ticket = who.ticket ?? (await ticketOf(who));
  await enters(who);
  await who.heard;
  const from = await position(page);
  await until(`${lang}: the sound goes on`, async () => (await position(page)) > from + 1);
  await until(`${lang}: somebody speaks`, async () => (await levelNow(page)) > 0.003);
  assert.equal(await says(page), "");
  const place = await placeOf(who);
  assert.equal(place.length, 72, "the place that it has, for when the line breaks");
  if (ticket) assert.equal(serial(place), serial(ticket), `${lang}: by the ticket that it had`);
  assert.deepEqual(who.errors, []);
}

/** People do without scripts what they do with them: they follow the link, and wait where it leads. */
export async function scriptless(browser, lang, at, space) {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: lang, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`${at}/s/${space}`);
  const [answer] = await Promise.all([page.waitForResponse(/\/wait$/), page.click(`noscript a[lang=${lang}]`)]);
  await page.waitForURL(/\/wait$/);
  assert.match(answer.headers().refresh, new RegExp(`^\\d+; url=/s/${space}/wait\\?t=[\\w-]+$`));
  assert.match(await page.textContent("h1"), WORDS[lang].title);
  assert.equal(await page.getAttribute("html", "lang"), lang);
  assert.equal(await page.getAttribute("html", "dir"), lang === "ar" ? "rtl" : "ltr");
  assert.match(await page.textContent("[role=status]"), /./);
  const picture = async (name) => {
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name} scrolls sideways`);
    if (process.env.HIWAR_PICTURES) await page.screenshot({ path: `${process.env.HIWAR_PICTURES}/${lang}-phone-${name}.png`, fullPage: true });
  };
  await picture("wait-plain");
  return { page, picture, close: () => context.close() };
}
