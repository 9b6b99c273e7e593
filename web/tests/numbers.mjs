// The live page of whoever hosts, and of whoever runs the server: the numbers change when somebody listens and when the door is full, a level is said once, and it reads in both
// languages, on a phone, dark, by keyboard and without motion. The server is this test's own: the others' has no door.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { fine, launch, page as open, until } from "./browser.mjs";
import { BINARY, Server } from "./server.mjs";

const server = await Server.start(BINARY, "[door]\nplaces = 2\nstay_minutes = 1\n");
const { origin } = server;
const browser = await launch();

const create = new URLSearchParams(server.hostLink.split("?").at(-1)).get("token");
const admin = (...words) => execFileSync(BINARY, ["admin", ...words, "--data", server.data], { encoding: "utf8", env: { ...process.env, LC_ALL: "C.UTF-8" } });

async function api(method, path, token, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const response = await fetch(`${origin}/api/spaces/v1${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${path}: ${response.status}`);
  return response.json();
}

/** How many came who had no ticket: nobody else arrives. */
let came = 0;
/** The ticket of whoever was told last to wait. */
let waits = "";

/** A player that comes when it is told to while the door is being opened, and takes what is sent for as long as it is left alone; `null` if it was not let in. */
async function ear(id) {
  let ticket = "";
  came += 1;
  for (;;) {
    const leaves = new AbortController();
    const response = await fetch(`${origin}/listen/${id}.mp4?t=${ticket}`, { signal: leaves.signal });
    if (response.ok) {
      const hears = (async () => {
        for await (const _ of response.body);
      })().catch(() => {});
      return { leave: () => (leaves.abort(), hears) };
    }
    const told = await response.json();
    ticket = waits = told.ticket;
    if (told.stage !== "soon") return null;
    await new Promise((resolve) => setTimeout(resolve, told.wait_ms));
  }
}

/** So often one who waits asks again: more often than anybody comes here. */
const AGAIN = 12;
const LATIN = (text) => Number(text.replace(/[٠-٩]/g, (digit) => "٠١٢٣٤٥٦٧٨٩".indexOf(digit)));
const number = async (page, key) => LATIN(await page.textContent(`#watch-${key}`));
const is = (page, key, value) => until(`${key} is ${value}`, async () => (await number(page, key)) === value, 20_000);

/** Counts of a class, in the order of their columns: who waits, was let in, at their time, later. */
const ofClass = async (page, name) => (await page.locator(`#watch-class-${name} td`).allTextContents()).map(LATIN);

/** How many dots of a plot are drawn on. */
const ink = (page) => page.locator(".plot canvas").first().evaluate((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.filter((v, i) => i % 4 === 3 && v > 0).length);

try {
  // What this machine feels of its own is not what is read here: it lasts for a minute, and every conversation has it. Doors and what is pinned go beyond it.
  admin("cap", "0");
  const made = await api("POST", "/spaces", create, { title: "أرقام · Numbers", host_name: "Layla", audience: "public" });
  const { id } = made.space;
  await api("POST", `/spaces/${id}/start`, made.host_pass);

  const plots = [];
  const host = await open(browser, { lang: "en" });
  host.page.on("request", (request) => /assets\/Watch-/.test(request.url()) && plots.push(request.url()));
  await host.page.goto(`${origin}/?lang=en#/`);
  await host.page.waitForSelector("h1, h2");
  assert.deepEqual(plots, [], "only this page loads what draws");
  await host.page.goto(`${origin}/?lang=en#/s/${id}/numbers?token=${made.host_pass}`);
  await host.page.waitForSelector("#watch-listening");
  assert.ok(plots.length > 0 && !host.page.url().includes("token"));
  const phone = await open(browser, { lang: "ar", width: 390, height: 844, scheme: "dark" });
  await phone.page.emulateMedia({ reducedMotion: "reduce", colorScheme: "dark" });
  await phone.page.goto(`${origin}/?lang=ar#/s/${id}/numbers?token=${made.host_pass}`);
  await is(host.page, "places", 2);
  await is(host.page, "listening", 0);

  // What is said of the level, and how often.
  await host.page.evaluate(() => {
    globalThis.said = [];
    new MutationObserver(() => said.push(document.querySelector("#level").textContent.trim())).observe(document.querySelector("#level"), { childList: true, subtree: true, characterData: true });
  });

  const inside = [];
  for (let n = 1; n <= 2; n++) {
    inside.push(await until(`${n} are inside`, () => ear(id), 30_000));
    await is(host.page, "listening", n);
    await is(phone.page, "listening", n);
    if (n === 1) await is(host.page, "admitted", 1);
  }
  await is(host.page, "inside", 2);
  assert.deepEqual((await ofClass(host.page, "anybody")).slice(1), [2, 0, 0], "and nobody had been told a time");
  await is(host.page, "joined", 2);
  assert.ok((await number(host.page, "admitted")) >= 1, "and of the last minute the last one");
  await until("a line is drawn", async () => (await ink(host.page)) > 500);
  assert.ok((await number(host.page, "asked")) >= 2);
  await is(host.page, "arrived-ever", came);
  assert.deepEqual(await host.page.evaluate(() => said), [], "it is said when a level changes, and not when a number does");

  // One more finds no place: a draw, a level, and the change of it. However often they ask again, one has come.
  assert.equal(await ear(id), null);
  await until("they came", async () => (await number(host.page, "arrived")) >= 1);
  for (let n = 0; n < AGAIN; n++) assert.equal((await fetch(`${origin}/listen/${id}.mp4?t=${waits}`)).status, 503);
  await until("they ask again", async () => (await number(host.page, "asked")) >= came + AGAIN);
  await is(host.page, "arrived-ever", came);
  // Of the last minute a point is made every second: what is told too much is there by then.
  for (let more = 1; more <= 3; more++) {
    assert.equal((await fetch(`${origin}/listen/${id}.mp4?t=${waits}`)).status, 503);
    await until("and again", async () => (await number(host.page, "asked")) >= came + AGAIN + more);
  }
  const arrived = await number(host.page, "arrived");
  assert.ok(arrived <= came, `${arrived} came in a minute, and ${came} in all`);
  await until("it is drawn", async () => /drawn/.test(await host.page.textContent("#door-is")));
  await until("the level is said", async () => /Level .?1.? of 5\..*more people came than there are places/s.test(await host.page.textContent("#level")));
  await until("it is among the changes", async () => /from level .?0.? to .?1/.test(await host.page.locator(".changes").textContent().catch(() => "")), 40_000);
  assert.equal(await host.page.getAttribute("#level", "role"), "status");
  const said = await host.page.evaluate(() => new Set(globalThis.said).size);
  assert.ok(said <= 2, `the level was said ${said} times`);

  await fine(host.page, "en", "numbers");
  await until("Arabic: the level", async () => /المستوى .?[1١].? من 5/.test(await phone.page.textContent("#level")));
  await fine(phone.page, "ar", "numbers-dark");
  await phone.page.emulateMedia({ colorScheme: "light" });
  await fine(phone.page, "ar", "numbers");
  // Time goes from right to left, and what it is measured by stands at the right.
  // It is drawn anew when colours or languages change.
  const at = async (mark) => (await phone.page.locator(mark).boundingBox().catch(() => null)) ?? null;
  const plot = await until("a plot", () => at(".plot >> nth=0"));
  const axis = () => at(".plot .u-axis >> nth=1");
  await until("the axis at the right", async () => ((await axis())?.x ?? 0) > plot.x + plot.width / 2);
  await phone.page.click("header button");
  await until("in the other language", async () => /Level/.test(await phone.page.textContent("#level")));
  await until("and the axis at the left", async () => ((await axis())?.x ?? Infinity) < plot.x + plot.width / 2);

  // By keyboard a wide table is reached and scrolled.
  await host.page.setViewportSize({ width: 390, height: 844 });
  await host.page.focus("[aria-labelledby=minutes]");
  await host.page.keyboard.press("ArrowRight");
  await until("it scrolls", () => host.page.evaluate(() => document.querySelector("[aria-labelledby=minutes]").scrollLeft > 0));

  // Whoever leaves is gone from it.
  await Promise.all(inside.map(({ leave }) => leave()));
  await is(host.page, "listening", 0);

  // Whoever runs the server sees all of it, and its workers.
  const operator = await open(browser, { lang: "ar" });
  const link = /http\S+#\/operate\?token=[\w-]+/.exec(admin("watch-link"))[0];
  await operator.page.goto(`${origin}/?lang=ar${link.slice(link.indexOf("#"))}`);
  await operator.page.waitForSelector("#workers");
  assert.ok((await number(operator.page, "asked")) >= 3 && !operator.page.url().includes("token"));
  await is(operator.page, "arrived-ever", came);
  // What happened at the workers is what happened at the doors: listening, came, let in, turned away, told to come again, on time, late.
  const atWorkers = async () => {
    const rows = await operator.page.locator("[aria-labelledby=at-workers] tbody tr").all();
    const counts = await Promise.all(rows.map(async (row) => (await row.locator("td").allTextContents()).map(LATIN)));
    return counts.reduce((sum, row) => sum.map((each, n) => each + row[n]));
  };
  assert.equal(await operator.page.locator("[aria-labelledby=at-workers] thead th[scope=col]").count(), 8);
  const [, reached, entered, , , ...promises] = await atWorkers();
  assert.deepEqual([reached, entered, promises], [came, 2, [0, 0]]);
  // And whoever listens reads how crowded it is, while it is.
  const quiet = await api("POST", "/spaces", create, { title: "Crowded · ازدحام", host_name: "Layla", audience: "public" });
  await api("POST", `/spaces/${quiet.space.id}/start`, quiet.host_pass);
  const listener = await open(browser, { lang: "en", width: 390, height: 844 });
  await listener.page.goto(`${origin}/s/${quiet.space.id}?lang=en`);
  await listener.page.click("#press");
  await until("it is heard", async () => /stage about/.test(await listener.page.textContent("#late")), 60_000);
  assert.ok(!(await listener.page.isVisible("#crowd")));
  admin("pin", "3");
  await until("the pin is seen", async () => /المستوى .?[3٣]/.test(await operator.page.textContent("#level")));
  await until("at a worker", async () => (await operator.page.locator("[aria-labelledby=workers]").textContent()).includes("أُمر بذلك يدويًّا"));
  await fine(operator.page, "ar", "operator");
  await operator.page.click("header button");
  await until("in English", async () => /Level .?3.? of 5/.test(await operator.page.textContent("#level")));
  await fine(operator.page, "en", "operator");

  await until("whoever listens reads it", async () => /^Crowded: level .?3.? of 5/.test(await listener.page.textContent("#level")) && (await listener.page.isVisible("#level")));
  await fine(listener.page, "en", "page-crowded");
  await listener.page.click("#lang");
  assert.match(await listener.page.textContent("#level"), /المستوى .?[3٣].? من 5/);
  await fine(listener.page, "ar", "page-crowded");
  assert.equal(await listener.page.getAttribute("#level", "href"), "/status");
  assert.doesNotMatch(await listener.page.textContent("main"), /It is your turn/);
  admin("pin", "off");
  await until("and no more when it is over", async () => !(await listener.page.isVisible("#crowd")), 30_000);

  // Nobody else.
  const stranger = await open(browser, { lang: "en" });
  for (const path of [`#/s/${id}/numbers`, "#/operate"]) {
    await stranger.page.goto(`${origin}/?lang=en${path}`);
    await until("refused", async () => /Only those who host|whoever runs the server/.test(await stranger.page.textContent("main")));
    assert.equal(await stranger.page.locator(".plot").count(), 0);
  }
  for (const who of [host, phone, operator, listener, stranger]) {
    assert.deepEqual(who.errors, []);
    await who.close();
  }
} finally {
  await browser.close();
  await server.stop();
}
console.log(JSON.stringify({ test: "numbers" }));
