// Opens one page in Chromium at each width, light and dark, and says as JSON what it asked for, how wide it came out and
// what axe found. Arguments: the page, the folder for screenshots, widths. Modules come from the working directory.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [page, folder, ...widths] = process.argv.slice(2);
const here = createRequire(pathToFileURL(process.cwd() + '/'));
const { chromium: driver } = here('playwright-core');
const { default: pack } = await import(pathToFileURL(here.resolve('@sparticuz/chromium')));
const axe = fs.readFileSync(here.resolve('axe-core/axe.min.js'), 'utf8');
const address = pathToFileURL(page).href;
const browser = await driver.launch({
  executablePath: await pack.executablePath(),
  args: ['--no-sandbox', '--no-zygote', '--disable-dev-shm-usage', '--use-gl=angle', '--use-angle=swiftshader'],
});
const said = [];
for (const scheme of ['light', 'dark']) {
  for (const width of widths.map(Number)) {
    // The page's own policy would keep axe out; it stays on for the pages of the requests below.
    const context = await browser.newContext({ viewport: { width, height: 800 }, colorScheme: scheme, bypassCSP: true });
    const tab = await context.newPage();
    const asked = [], wrong = [];
    tab.on('request', (request) => asked.push(request.url()));
    tab.on('console', (message) => wrong.push(message.text()));
    tab.on('pageerror', (error) => wrong.push(String(error)));
    await tab.goto(address);
    await tab.screenshot({ path: `${folder}/${scheme}-${width}.png` });
    const seen = await tab.evaluate(() => ({
      wide: document.documentElement.scrollWidth,
      small: Math.min(...[...document.querySelectorAll('p, td, th, dd, dt, li, caption')].map(
        (each) => parseFloat(getComputedStyle(each).fontSize))),
      paper: getComputedStyle(document.body).backgroundColor,
      outside: [...document.querySelectorAll('h1, h2, h3, p, dl, ul, svg')].filter((each) => {
        const box = each.getBoundingClientRect();
        return box.left < 0 || box.right > innerWidth + 0.5;
      }).length,
      squeezed: [...document.querySelectorAll('td, dd')].filter((each) => {
        const line = parseFloat(getComputedStyle(each).lineHeight);
        return each.textContent.length > 3 && each.getBoundingClientRect().width < 2 * line;
      }).length,
    }));
    await tab.evaluate(axe);
    const found = await tab.evaluate(() => axe.run(document));
    const short = (each) => [each.id, each.nodes.slice(0, 3).map((node) => node.html.slice(0, 200))];
    said.push({
      scheme, width, ...seen, wrong, fetched: asked.filter((each) => each !== address),
      findings: found.violations.map(short), undecided: found.incomplete.map(short), passes: found.passes.length,
    });
    await context.close();
  }
}
const tab = await browser.newPage();
await tab.goto(address);
await tab.pdf({ path: `${folder}/paper.pdf`, format: 'A4' });
await browser.close();
console.log(JSON.stringify(said));
