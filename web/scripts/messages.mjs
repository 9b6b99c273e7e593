// Resolves the Fluent messages of the light page into a table, at build time: the page then needs no library.
// Allowed there: text and plain variables; anything else stops the build.
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

/** The sentences `keys` of one language, each `"…{name}…"`, in their order and with a bar between two: nothing is packed smaller. */
export function sentences(language, keys) {
  const all = catalogue(language);
  const found = keys.map((key) => flat(key, all.get(key)));
  const barred = found.find((sentence) => sentence.includes("|"));
  if (barred) throw new Error(`"${barred}" has a bar, which divides sentences`);
  return found.join("|");
}

function flat(key, pattern) {
  if (!pattern) throw new Error(`no message ${key}`);
  return pattern.elements
    .map((element) => {
      if (element.type === "TextElement") return element.value;
      if (element.expression.type === "VariableReference") return `{${element.expression.id.name}}`;
      throw new Error(`${key}: only plain variables in the light page`);
    })
    .join("");
}
