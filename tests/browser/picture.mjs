// Photographs the top of a page as a README shows it, in the light scheme.
// node picture.mjs PAGE.html PICTURE.png
import { chromium } from "playwright-core";
import { mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";
const [file, picture] = process.argv.slice(2).map((path) => resolve(path));
mkdirSync(dirname(picture), { recursive: true });
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ colorScheme: "light", viewport: { width: 1040, height: 1085 } });
await page.goto("file://" + file);
await page.screenshot({ path: picture });
await browser.close();
