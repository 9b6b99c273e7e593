// Builds dist/page.html, the page of a space in one file, with dist/page.csp, what it is allowed to do; the scripts that it fetches for a replay and for reactions; and the player
// for other people's pages: dist/embed.js, and dist/embed.html with its policy.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "vite";
import { Features, transform } from "lightningcss";
import { sentences } from "./messages.mjs";

const root = new URL("..", import.meta.url).pathname;
const read = (path) => readFileSync(root + path, "utf8");
const write = (name, text) => writeFileSync(`${root}dist/${name}`, text);

const KEY = /"(brand|(?:page|player|language|ear|embed)-[a-z0-9-]+)"/g;
/** What follows `page-` is put together at run time: the state of the space, and roles. */
const STATES = ["scheduled", "open", "live", "ended", "posted", "cancelled", "host", "co-host"];
/** Put together at run time. */
const ENDS = ["ear-clip-from", "ear-clip-to"];

/**
 * What a script says: every key named in its own sources, so that it has what is used and nothing more. A key is a number there, its place among the sentences;
 * those put together at run time come first and keep their names, without `prefix`.
 */
function wording(folder, composed = [], prefix = "") {
  const sources = readdirSync(root + folder).filter((f) => /(?<!\.test)\.ts$|\.html$/.test(f));
  const found = sources.flatMap((file) => [...read(`${folder}/${file}`).matchAll(KEY)].map((match) => match[1]));
  const keys = [...new Set([...composed.map((name) => prefix + name), ...found.sort()])];
  const said = (language) => JSON.stringify(sentences(language, keys));
  return {
    define: { __AR__: said("ar"), __EN__: said("en"), __NAMED__: JSON.stringify(composed.join(" ")) },
    renamed: (code) => {
      const numbered = code.replace(KEY, (_, key) => `"${keys.indexOf(key)}"`);
      return prefix ? numbered.replaceAll("`" + prefix + "${", "`${") : numbered;
    },
  };
}

async function script(entry, words, format = "iife", define = {}) {
  const folder = root + entry.replace(/[^/]*$/, "");
  const result = await build({
    configFile: false,
    root,
    logLevel: "warn",
    define: { ...words.define, ...define },
    plugins: [{ name: "message-names", enforce: "pre", transform: (code, id) => (id.startsWith(folder) && id.endsWith(".ts") ? words.renamed(code) : null) }],
    build: {
      write: false,
      target: "es2022",
      modulePreload: false,
      rollupOptions: { input: root + entry, preserveEntrySignatures: format === "es" ? "strict" : false, output: { format } },
    },
  });
  const code = result.output.find((file) => file.type === "chunk").code.trim();
  // The one sequence that would end the script element early.
  return code.replaceAll("</script", "<\\/script");
}

function styles() {
  const code = Buffer.from(read("src/text/tokens.css") + read("src/page/page.css"));
  const targets = { chrome: 100 << 16, safari: 16 << 16, firefox: 102 << 16 };
  // light-dark() is not used, and its replacement would be prepared in every scheme.
  return transform({ filename: "page.css", code, minify: true, targets, exclude: Features.LightDark }).code.toString();
}

const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const words = wording("src/page", STATES, "page-");
/** A script that the page fetches when it needs it: its address, with its hash in it. */
async function later(name, entry, words) {
  const code = await script(entry, words, "es");
  const path = `assets/${name}-${createHash("sha256").update(code).digest("base64url").slice(0, 8)}.js`;
  mkdirSync(root + "dist/assets", { recursive: true });
  write(path, code);
  return JSON.stringify("/" + path);
}
const fetched = {
  __EAR__: await later("ear", "src/ear/ear.ts", wording("src/ear", ENDS)),
  __WAIT__: await later("wait", "src/wait/page.ts", wording("src/wait")),
  __REWIND__: await later("past", "src/rewind/page.ts", wording("src/rewind")),
  __REACT__: await later("react", "src/react/page.ts", wording("src/react")),
};
const [style, first] = [styles(), await script("src/page/first.ts", words)];
const main = await script("src/page/main.ts", words, "iife", fetched);
const html = words
  .renamed(read("src/page/page.html"))
  .replace("/*page:style*/", () => style)
  .replace("/*page:first*/", () => first)
  .replace("/*page:script*/", () => main);
write("page.html", html);
write(
  "page.csp",
  [
    "default-src 'none'",
    // What the page fetches of us is ours: everything that is served as a script here is a file of this folder.
    `script-src 'self' ${hash(first)} ${hash(main)}`,
    // Colours of people are set through the style object, and styles of scripts as objects, which need no permission.
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    "media-src 'self' blob:",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
);

write("embed.js", await script("src/embed/embed.ts", wording("src/embed")));
const frame = read("src/embed/embed.html");
write("embed.html", frame);
write(
  "embed.csp",
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src ${hash(/<style>([^]*?)<\/style>/.exec(frame)[1])}`,
    "connect-src 'self'",
    // The quiet sound while somebody waits at the door.
    "media-src 'self' blob:",
    "base-uri 'none'",
    "form-action 'none'",
    // The one document of ours that is there to be framed.
    "frame-ancestors *",
  ].join("; "),
);
