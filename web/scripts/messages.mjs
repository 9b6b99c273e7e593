// Resolves the Fluent messages of the light page into a table, at build time: the page then needs no library.
// Allowed there: text, plain variables, and one selector per message; anything else stops the build.
import { readFileSync, readdirSync } from "node:fs";
import { parse } from "@fluent/syntax";

/** Messages of one language by key, of all its files, as Fluent's syntax tree. Throws on a line that Fluent would skip as junk, and on a key that stands twice. */
export function catalogue(language) {
  const folder = new URL(`../locales/${language}/`, import.meta.url);
  const all = new Map();
  for (const file of readdirSync(folder).filter((name) => name.endsWith(".ftl")).sort()) {
    const entries = parse(readFileSync(new URL(file, folder), "utf8"), {}).body;
    const junk = entries.find((entry) => entry.type === "Junk");
    if (junk) throw new Error(`${language}/${file}: ${junk.annotations[0]?.message} near ${junk.content.slice(0, 60)}`);
    for (const entry of entries.filter((entry) => entry.type === "Message")) {
      if (all.has(entry.id.name)) throw new Error(`${language}/${file}: ${entry.id.name} stands twice`);
      all.set(entry.id.name, entry.value);
    }
  }
  return all;
}

/** The table for `keys`: `{key: [ar, en]}`, each `"…{name}…"` or `["count", {one: "…"}]`. Every key once: the page has few bytes to spare. */
export function table(keys) {
  const languages = ["ar", "en"].map(catalogue);
  return Object.fromEntries(keys.map((key) => [key, languages.map((all) => resolve(key, all.get(key)))]));
}

function resolve(key, pattern) {
  if (!pattern) throw new Error(`no message ${key}`);
  const [only] = pattern.elements;
  if (pattern.elements.length === 1 && only.type === "Placeable" && only.expression.type === "SelectExpression") {
    const { selector, variants } = only.expression;
    const sentences = Object.fromEntries(variants.map((v) => [v.key.name, flat(key, v.value)]));
    // What is not there is said as `other`.
    const needed = Object.entries(sentences).filter(([category, text]) => category === "other" || text !== sentences.other);
    return [selector.id.name, Object.fromEntries(needed)];
  }
  return flat(key, pattern);
}

function flat(key, pattern) {
  return pattern.elements
    .map((element) => {
      if (element.type === "TextElement") return element.value;
      if (element.expression.type === "VariableReference") return `{${element.expression.id.name}}`;
      throw new Error(`${key}: only plain variables in the light page`);
    })
    .join("");
}
