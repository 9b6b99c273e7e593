// Builds dist/page.html: the page of a space in one file, and dist/page.csp: what it is allowed to do.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "vite";
import { Features, transform } from "lightningcss";
import { table } from "./messages.mjs";

const root = new URL("..", import.meta.url).pathname;
const read = (path) => readFileSync(root + path, "utf8");

const KEY = /"(brand|(?:page|player|language)-[a-z0-9-]+)"/g;
/** Put together at run time, by the state of the space. */
const STATES = ["page-scheduled", "page-live", "page-ended", "page-posted"];

/** Every key named in the page's own sources, so that the table has what is used and nothing more; and its name in the page, where each letter counts. */
const names = (() => {
  const sources = ["src/page/page.html", ...readdirSync(root + "src/page").filter((f) => f.endsWith(".ts")).map((f) => "src/page/" + f)];
  const found = sources.flatMap((path) => [...read(path).matchAll(KEY)].map((match) => match[1]));
  const keys = [...new Set([...found, ...STATES])].sort();
  return new Map(keys.map((key, n) => [key, STATES.includes(key) ? key : n.toString(36)]));
})();
const renamed = (code) => code.replace(KEY, (_, key) => `"${names.get(key)}"`);
const messages = Object.fromEntries(Object.entries(table([...names.keys()])).map(([key, message]) => [names.get(key), message]));

async function script(entry) {
  const result = await build({
    configFile: false,
    root,
    logLevel: "warn",
    define: { __MESSAGES__: JSON.stringify(messages) },
    plugins: [{ name: "message-names", enforce: "pre", transform: (code, id) => (id.startsWith(root + "src/page/") ? renamed(code) : null) }],
    build: {
      write: false,
      target: "es2022",
      modulePreload: false,
      rollupOptions: { input: root + entry, output: { format: "iife" } },
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
const [style, first, main] = [styles(), await script("src/page/first.ts"), await script("src/page/main.ts")];
const html = renamed(read("src/page/page.html"))
  .replace("/*page:style*/", () => style)
  .replace("/*page:first*/", () => first)
  .replace("/*page:script*/", () => main);
writeFileSync(root + "dist/page.html", html);
writeFileSync(
  root + "dist/page.csp",
  [
    "default-src 'none'",
    `script-src ${hash(first)} ${hash(main)}`,
    // Colours of people are set through the style object, which needs no permission.
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    "media-src 'self' blob:",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors *",
  ].join("; "),
);
