// Builds dist/page.html, the page of a space in one file, with dist/page.csp, what it is allowed to do; the script that it fetches for a replay; and the player
// for other people's pages: dist/embed.js, and dist/embed.html with its policy.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "vite";
import { Features, transform } from "lightningcss";
import { table } from "./messages.mjs";

const root = new URL("..", import.meta.url).pathname;
const read = (path) => readFileSync(root + path, "utf8");
const write = (name, text) => writeFileSync(`${root}dist/${name}`, text);

const KEY = /"(brand|(?:page|player|language|ear|embed)-[a-z0-9-]+)"/g;
/** Put together at run time. */
const STATES = ["page-scheduled", "page-live", "page-ended", "page-posted"];
const ENDS = ["ear-clip-from", "ear-clip-to", "ear-clip-from-here", "ear-clip-to-here"];

/** What a script says: every key named in its own sources, so that its table has what is used and nothing more; each by a name of few letters, but for those put together. */
function wording(folder, composed = []) {
  const sources = readdirSync(root + folder).filter((f) => /(?<!\.test)\.ts$|\.html$/.test(f));
  const found = sources.flatMap((file) => [...read(`${folder}/${file}`).matchAll(KEY)].map((match) => match[1]));
  const keys = [...new Set([...found, ...composed])].sort();
  const names = new Map(keys.map((key, n) => [key, composed.includes(key) ? key : n.toString(36)]));
  const messages = Object.fromEntries(Object.entries(table(keys)).map(([key, message]) => [names.get(key), message]));
  return { messages, renamed: (code) => code.replace(KEY, (quoted, key) => (names.has(key) ? `"${names.get(key)}"` : quoted)) };
}

async function script(entry, { messages, renamed }, format = "iife", define = {}) {
  const folder = root + entry.replace(/[^/]*$/, "");
  const result = await build({
    configFile: false,
    root,
    logLevel: "warn",
    define: { __MESSAGES__: JSON.stringify(messages), ...define },
    plugins: [{ name: "message-names", enforce: "pre", transform: (code, id) => (id.startsWith(folder) && id.endsWith(".ts") ? renamed(code) : null) }],
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
const words = wording("src/page", STATES);
const ear = await script("src/ear/ear.ts", wording("src/ear", ENDS), "es");
const ear_path = `assets/ear-${createHash("sha256").update(ear).digest("base64url").slice(0, 8)}.js`;
mkdirSync(root + "dist/assets", { recursive: true });
write(ear_path, ear);
const [style, first] = [styles(), await script("src/page/first.ts", words)];
const main = await script("src/page/main.ts", words, "iife", { __EAR__: JSON.stringify("/" + ear_path) });
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
    "media-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    // The one document of ours that is there to be framed.
    "frame-ancestors *",
  ].join("; "),
);
