// A conversation with two places, and people before its door: told so in Arabic and in English, with one press, drawn, given a time, and let in when
// there is room. A reloaded page keeps its place, and a browser without scripts comes back by itself. At another server, whose one place is free for nobody within half an hour, people are told
// so, and what they are offered. The servers are this test's own: the others' has no door.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fine, launch, levelNow, page as open, position, pressAndHear, until } from "./browser.mjs";
import { BINARY, Server } from "./server.mjs";

const SPACE = "demo";
const KEY = `hiwar:ticket:${SPACE}`;
/** A window of a minute, the counting, and a time at which one of two places is sure to be free. */
const ADMITTED_MS = 240_000;
const WORDS = {
  ar: { draw: /قرعة/, place: /مكانك محجوز.*[\d٠-٩]/, rank: /نصف ساعة/, entered: /حان دورك/, title: /جاء كثيرون|مكانك محجوز|نصف ساعة/, calendar: /تقويمك/ },
  en: { draw: /drawn/, place: /You have a place, in about .*\d/, rank: /half an hour/, entered: /your turn/, title: /Many people|You have a place|half an hour/, calendar: /calendar/ },
};

const server = await Server.start(BINARY, "[door]\nplaces = 2\nstay_minutes = 1\n");
const full = await Server.start(BINARY, "[door]\nplaces = 1\nstay_minutes = 600\n");
const { origin } = server;
const browser = await launch();
const measured = {};

/** A player that is no page of ours, and takes what is sent for as long as it is left alone. */
async function plain(at = origin, space = SPACE) {
  const leaves = new AbortController();
  let response;
  for (let ticket = ""; !response; ) {
    const answer = await fetch(`${at}/listen/${space}.mp4?t=${ticket}`, { signal: leaves.signal });
    if (answer.ok) response = answer;
    else {
      const told = await answer.json();
      if (told.stage !== "soon") return null;
      ticket = told.ticket;
      await new Promise((resolve) => setTimeout(resolve, told.wait_ms));
    }
  }
  const hears = (async () => {
    for await (const _ of response.body);
  })().catch(() => {});
  return { leave: () => (leaves.abort(), hears) };
}

/** A page, and what it asked for: the tickets that it showed. */
async function person(lang, at = origin, space = SPACE, scheme = "light") {
  const who = await open(browser, { lang, width: 390, height: 844, scheme });
  who.shown = [];
  who.told = [];
  who.page.on("response", async (response) => {
    if (new URL(response.url()).pathname.startsWith("/listen/") && response.status() === 503) who.told.push(await response.json().catch(() => ({})));
  });
  who.page.on("request", (request) => {
    const { pathname, searchParams } = new URL(request.url());
    if (pathname.startsWith("/listen/")) who.shown.push(searchParams.get("t"));
  });
  await who.page.goto(`${at}/s/${space}?lang=${lang}`);
  return who;
}

const says = (page) => page.textContent("#notice");

/** They are drawn, and then told that there is no place within half an hour, and what there is for them. */
async function capped(lang, scheme) {
  const who = await person(lang, full.origin, SPACE, scheme);
  await who.page.click("#press");
  await until(`${lang}: drawn at a full door`, async () => WORDS[lang].draw.test(await says(who.page)));
  await until(`${lang}: no place`, async () => WORDS[lang].rank.test(await says(who.page)), 100_000);
  assert.equal(await who.page.getAttribute("#notice", "role"), "status");
  assert.equal(await who.page.locator("#calendar").count(), 1);
  assert.ok(who.shown.length <= 4, `${who.shown.length} requests`);
  assert.deepEqual([...new Set(who.told.map(({ stage }) => stage))].at(-1), "rank");
  await fine(who.page, lang, `page-capped-${scheme}`);
  assert.deepEqual(who.errors, []);
  await who.close();
}

/** What each stage is told by, whatever the door is at: the server's answers are this test's. */
async function told(lang) {
  const { page, errors, close } = await open(browser, { lang, width: 390, height: 844 });
  let stage;
  await page.route(/\/listen\//, (route) =>
    route.fulfill({ status: 503, contentType: "application/problem+json", body: JSON.stringify({ type: "/problems/wait", status: 503, ticket: "T", wait_ms: 170_000, stage }) }),
  );
  for (stage of ["draw", "place", "rank"]) {
    await page.goto(`${origin}/s/${SPACE}?lang=${lang}`);
    await page.click("#press");
    await until(`${stage} is told`, async () => WORDS[lang][stage].test(await says(page)));
    assert.equal(await page.getAttribute("#notice", "role"), "status");
    assert.equal(await page.locator("#calendar").count(), stage === "rank" ? 1 : 0, stage);
    await fine(page, lang, `page-wait-${stage}`);
  }
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#calendar")]);
  assert.equal(file.suggestedFilename(), "hiwar.ics");
  assert.match(readFileSync(await file.path(), "utf8"), /^BEGIN:VCALENDAR\r\n[^]*\r\nDTSTART:\d{8}T\d{6}Z\r\n/);
  // Said at once in the other language, and nothing is left of it when somebody stops.
  await page.click("#lang");
  assert.match(await says(page), WORDS[lang === "ar" ? "en" : "ar"].rank);
  await page.click("#press");
  await until("it is over", async () => (await says(page)) === "" && (await page.locator("#calendar").count()) === 0);
  assert.deepEqual(errors, []);
  await close();
}

/** Without scripts: from the page to where one waits, which comes back by itself with its ticket. */
async function scriptless(lang) {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: lang, viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`${origin}/s/${SPACE}`);
  const [answer] = await Promise.all([page.waitForResponse(/\/wait$/), page.click(`noscript a[lang=${lang}]`)]);
  await page.waitForURL(/\/wait$/);
  assert.match(answer.headers().refresh, new RegExp(`^\\d+; url=/s/${SPACE}/wait\\?t=[\\w-]+$`));
  assert.match(await page.textContent("h1"), WORDS[lang].title);
  assert.equal(await page.getAttribute("html", "lang"), lang);
  assert.equal(await page.getAttribute("html", "dir"), lang === "ar" ? "rtl" : "ltr");
  assert.match(await page.textContent("[role=status]"), /[\d٠-٩]|دقيقة واحدة|دقيقتين|ثانيتين/);
  if (process.env.HIWAR_PICTURES) await page.screenshot({ path: `${process.env.HIWAR_PICTURES}/${lang}-phone-wait-plain.png`, fullPage: true });
  await context.close();
}

/** Heard, told so, and with a few requests. */
async function admitted(who, lang, heard) {
  const { page } = who;
  const entered = page.waitForFunction(() => document.querySelector("#entered")?.textContent, null, { timeout: ADMITTED_MS }).then((said) => said.jsonValue());
  const said = await entered.catch(async (why) => assert.fail(`${lang}: waits still, for "${await says(page)}": ${why}`));
  assert.match(said, WORDS[lang].entered);
  await heard;
  const from = await position(page);
  await until(`${lang}: the sound goes on`, async () => (await position(page)) > from + 1);
  await until(`${lang}: somebody speaks`, async () => (await levelNow(page)) > 0.003);
  assert.equal(await says(page), "");
  assert.equal((await page.evaluate((key) => sessionStorage.getItem(key), KEY)).length, 72, "the place that it has, for when the line breaks");
  assert.deepEqual(who.errors, []);
}

try {
  await until("the other server is full", () => plain(full.origin), 30_000);
  // At the same time as all that follows.
  const elsewhere = Promise.all([capped("ar", "dark"), capped("en", "light")]);
  elsewhere.catch(() => {});
  await Promise.all(["ar", "en"].map(told));

  // Two fill it.
  const inside = [];
  for (let n = 0; n < 2; n++) inside.push(await until(`${n + 1} are inside`, () => plain(), 30_000));

  const [ar, en] = await Promise.all(["ar", "en"].map((lang) => person(lang)));
  const began = Date.now();
  const heard = { ar: pressAndHear(ar.page, "#press", { limit: ADMITTED_MS }) };
  heard.ar.catch(() => {});
  await until("Arabic: everybody is drawn", async () => WORDS.ar.draw.test(await says(ar.page)));
  await en.page.click("#press");
  await until("English: everybody is drawn", async () => WORDS.en.draw.test(await says(en.page)));
  // Who came before both workers knew that the other is full, too, was told to come in a moment.
  const asked = [ar.shown.length, en.shown.length];
  assert.ok(asked.every((times) => times <= 2), `${asked} requests until they were drawn`);
  await Promise.all([fine(ar.page, "ar", "page-wait"), fine(en.page, "en", "page-wait")]);
  assert.deepEqual([ar.shown.length, en.shown.length], asked, "nobody asks while they wait");

  // A page that is loaded again shows what it had.
  const ticket = await en.page.evaluate((key) => localStorage.getItem(key), KEY);
  assert.ok(ticket.length > 20, ticket);
  await en.page.reload();
  heard.en = pressAndHear(en.page, "#press", { limit: ADMITTED_MS });
  heard.en.catch(() => {});
  await until("English: still drawn", async () => WORDS.en.draw.test(await says(en.page)));
  assert.deepEqual(en.shown.slice(asked[1]), [ticket]);

  // Both go, and there is room.
  await Promise.all(inside.map(({ leave }) => leave()));
  await Promise.all([admitted(ar, "ar", heard.ar).then(() => (measured.ar_admitted_ms = Date.now() - began)), admitted(en, "en", heard.en).then(() => (measured.en_admitted_ms = Date.now() - began))]);
  measured.requests = { ar: ar.shown.length, en: en.shown.length };
  for (const who of [ar, en]) assert.ok(who.shown.length <= 6, `${who.shown.length} requests`);

  // They fill it, and a ticket that nobody comes with would have been in their way.
  for (const lang of ["ar", "en"]) await scriptless(lang);
  await Promise.all([ar.close(), en.close()]);
  await elsewhere;
} finally {
  await browser.close();
  await Promise.all([server.stop(), full.stop()]);
}
console.log(JSON.stringify({ test: "door", ...measured }));
