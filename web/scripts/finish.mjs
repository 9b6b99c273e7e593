// After the build: a brotli twin beside every file worth it, and the policy of the app's own document.
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { brotliCompressSync, constants } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;

for (const name of readdirSync(dist, { recursive: true })) {
  const path = dist + name;
  if (!statSync(path).isFile() || !/\.(html|js|css|svg|json|txt)$/.test(name)) continue;
  const bytes = readFileSync(path);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
  };
  const small = brotliCompressSync(bytes, { params });
  writeFileSync(path + ".br", small);
  console.log(`${String(bytes.length).padStart(8)} → ${String(small.length).padStart(6)} br  ${name}`);
}

const index = readFileSync(dist + "index.html", "utf8");
const inline = [...index.matchAll(/<script>([\s\S]*?)<\/script>/g)].map((m) => `'sha256-${createHash("sha256").update(m[1]).digest("base64")}'`);
writeFileSync(
  dist + "index.csp",
  [
    "default-src 'none'",
    `script-src 'self' ${inline.join(" ")}`.trim(),
    "style-src 'self'",
    "font-src 'self'",
    // The stage's origin is set by the operator and not known here: the house may narrow this.
    "connect-src 'self' http: https:",
    "media-src 'self' blob: mediastream:",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
);

// What we ship of others, with their terms.
const modules = new URL("../node_modules/", import.meta.url).pathname;
const terms = [
  ["Svelte (MIT)", "svelte/LICENSE.md"],
  ["uPlot (MIT)", "uplot/LICENSE"],
  ["Readex Pro (SIL Open Font License 1.1)", "@fontsource-variable/readex-pro/LICENSE"],
].map(([name, path]) => `${name}\n\n${readFileSync(modules + path, "utf8").trim()}\n`);
terms.push("@fluent/bundle (Apache-2.0), https://projectfluent.org\n");
writeFileSync(dist + "licences.txt", terms.join(`\n${"-".repeat(80)}\n\n`));
