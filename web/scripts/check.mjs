// Rules that no compiler knows: directions in styles, keys of the catalogues, the weight of the page.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { catalogue } from "./messages.mjs";

const root = new URL("..", import.meta.url).pathname;
/** One packet train of ten (RFC 6928): the page arrives with the first round trip. Less what the server fills in: title, preview, links and who speaks. */
const PAGE_BYTES_MAX = 14 * 1024 - 700;
const wrong = [];

// 1. Logical directions only: a physical one is wrong in one of our two languages.
const PHYSICAL = /(?<![\w-])(?:(?:margin|padding|border|scroll-margin|scroll-padding)-(?:left|right)(?:-\w+)?|left|right|border-(?:top|bottom)-(?:left|right)-radius)\s*:|(?:text-align|float|clear)\s*:\s*(?:left|right)\b/;
const files = (dir, endings) =>
  readdirSync(root + dir, { recursive: true }).map((name) => `${dir}/${name}`).filter((name) => endings.test(name));
for (const name of files("src", /\.(css|svelte)$/)) {
  const text = readFileSync(root + name, "utf8");
  const styles = name.endsWith(".css") ? text : (/<style>([\s\S]*)<\/style>/.exec(text)?.[1] ?? "");
  for (const line of styles.split("\n")) if (PHYSICAL.test(line)) wrong.push(`${name}: physical direction in "${line.trim()}"`);
  for (const found of text.matchAll(/letter-spacing|text-transform:\s*uppercase|font-style:\s*italic/g)) wrong.push(`${name}: ${found[0]} breaks Arabic`);
}

// 2. The same messages in both languages, with the same variables; Arabic plurals complete; every key used exists and every key is used.
const [ar, en] = [catalogue("ar"), catalogue("en")];
const variables = (value) => [...new Set(JSON.stringify(value).match(/"VariableReference","id":\{"type":"Identifier","name":"\w+"/g) ?? [])].sort().join();
for (const key of new Set([...ar.keys(), ...en.keys()])) {
  if (!ar.has(key)) wrong.push(`ar: no ${key}`);
  else if (!en.has(key)) wrong.push(`en: no ${key}`);
  else if (variables(ar.get(key)) !== variables(en.get(key))) wrong.push(`${key}: different variables in ar and en`);
  const select = ar.get(key)?.elements.find((e) => e.expression?.type === "SelectExpression");
  const categories = select?.expression.variants.map((v) => v.key.name).sort().join();
  if (select && categories !== "few,many,one,other,two,zero") wrong.push(`ar: ${key} has ${categories}`);
}
const sources = files("src", /\.(ts|svelte|html)$/).filter((name) => !name.endsWith(".test.ts")).map((name) => readFileSync(root + name, "utf8")).join("\n");
const prefixes = [...sources.matchAll(/`([a-z]+(?:-[a-z]+)*-)\$\{/g)].map((m) => m[1]);
for (const key of en.keys()) {
  const used = new RegExp(`["'\`]${key}["'\`]`).test(sources) || prefixes.some((prefix) => key.startsWith(prefix));
  if (!used) wrong.push(`${key}: in the catalogues but said nowhere`);
}
for (const [, key] of sources.matchAll(/\b(?:t|say)\(\s*"([a-z-]+)"/g)) if (!en.has(key)) wrong.push(`${key}: said but in no catalogue`);

// 3. The weight of the page.
const page = root + "dist/page.html.br";
if (!existsSync(page)) wrong.push("dist/page.html.br is missing: npm run build first");
else if (statSync(page).size > PAGE_BYTES_MAX) wrong.push(`page.html.br has ${statSync(page).size} bytes, more than ${PAGE_BYTES_MAX}`);

// 4. Files that can be read in one sitting.
for (const name of files("src", /\.(ts|svelte|css)$/)) {
  const lines = readFileSync(root + name, "utf8").split("\n").length;
  if (lines > 450) wrong.push(`${name}: ${lines} lines`);
}

for (const line of wrong) console.error(line);
if (wrong.length > 0) process.exit(1);
console.log(`directions, ${en.size} messages in two languages and the page's ${statSync(page).size} bytes are fine`);
