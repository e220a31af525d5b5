// Opens a page as readers do: light, dark, narrow, on paper. Prints what was said and sent, what axe-core finds, as JSON.
// node look.mjs PAGE.html PREFIX-OF-PICTURES
import { chromium } from "playwright-core";
import { readFileSync } from "node:fs";
const [file, shots] = process.argv.slice(2);
const axe = readFileSync(new URL("./node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const found = { messages: [], requests: [], violations: [], overflow: {} };
for (const [scheme, width] of [["light", 1100], ["dark", 1100], ["light", 360]]) {
  const context = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, bypassCSP: false });
  const page = await context.newPage();
  page.on("console", (m) => found.messages.push(m.text()));
  page.on("pageerror", (e) => found.messages.push(String(e)));
  page.on("request", (r) => { if (!r.url().startsWith("file://" + file)) found.requests.push(r.url()); });
  await page.goto("file://" + file);
  await page.screenshot({ path: `${shots}-${scheme}-${width}.png`, fullPage: true });
  found.overflow[`${scheme}-${width}`] = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  await context.close();
  const audit = await browser.newContext({ colorScheme: scheme, viewport: { width, height: 900 }, bypassCSP: true });
  const looked = await audit.newPage();
  await looked.goto("file://" + file);
  await looked.evaluate(() => document.querySelectorAll("details").forEach((d) => (d.open = true)));
  await looked.evaluate(axe);
  const result = await looked.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const v of result.violations) found.violations.push(`${scheme} ${width}: ${v.id}: ${v.nodes.map((n) => n.html.slice(0, 150)).slice(0, 3).join(" | ")}`);
  await audit.close();
}
const printed = await (await browser.newContext()).newPage();
await printed.goto("file://" + file);
await printed.emulateMedia({ media: "print" });
found.details = await printed.locator("details:not(:has(pre))").count();
found.printed = (await printed.locator("details:not(:has(pre)) > :last-child").evaluateAll((all) => all.map((e) => e.checkVisibility() && e.getBoundingClientRect().height > 0))).filter(Boolean).length;
found.outside = await printed.locator(".gallery img").evaluateAll((all) => all.filter((e) => e.getBoundingClientRect().right > e.parentElement.getBoundingClientRect().right).length);
await printed.pdf({ path: `${shots}.pdf`, format: "A4" });
await browser.close();
console.log(JSON.stringify(found, null, 1));
