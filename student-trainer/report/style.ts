/** The look of a report, light or dark as its reader's system is. */
export const STYLE = `
:root { --ground: #fbfaf8; --card: #ffffff; --ink: #1c1b1a; --muted: #6b6863; --rule: #e4e1dc;
  --series-1: #2a63c9; --series-2: #c2560c; --series-3: #0c7a68;
  --series-4: #8a3fb0; --series-5: #a8790a; --series-6: #b8255f;
  --series-7: #4d7c0f; --series-8: #0e7490; --series-9: #6b5b4b; }
@media (prefers-color-scheme: dark) { :root { --ground: #141413; --card: #1d1d1b; --ink: #ecebe8;
  --muted: #a3a09a; --rule: #34332f; --series-1: #7fabff; --series-2: #ff9f5f; --series-3: #4cc9b0;
  --series-4: #cf93ec; --series-5: #e0b84a; --series-6: #ff7eb0; --series-7: #a3d65c; --series-8: #5cc8e0;
  --series-9: #c9b8a6; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1120px; padding: 40px 24px 72px; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
h1 { font-size: 28px; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 17px; margin: 40px 0 12px; }
h3 { font-size: 15px; font-weight: 600; margin: 24px 0 6px; }
header p, section > p { color: var(--muted); margin: 6px 0 0; }
section > p { margin: 0 0 12px; }
.wide + p { margin-top: 8px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 28px 0 0; }
.tiles div, figure { background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
.tiles div { padding: 14px 16px; }
.tiles dt { color: var(--muted); font-size: 13px; }
.tiles dt::first-letter { text-transform: uppercase; }
.tiles dd { margin: 0; font-size: 26px; line-height: 1.3; font-weight: 600; }
.tiles .beside { font-size: 13px; font-weight: 400; color: var(--muted); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(420px, 100%), 1fr)); gap: 12px; }
figure { margin: 0; padding: 14px 16px 10px; display: flex; flex-direction: column; }
figcaption { font-size: 13px; color: var(--muted); line-height: 1.4; margin-bottom: 4px; }
figcaption b { display: block; font-size: 15px; color: var(--ink); }
figure ul { display: flex; flex-wrap: wrap; gap: 2px 16px; list-style: none; margin: 2px 0 4px; padding: 0; font-size: 13px; }
figure i { display: inline-block; width: 18px; margin-right: 6px; vertical-align: middle; border-top: 2px solid; }
figure i.dashed { border-top-style: dashed; }
i.series-1 { border-color: var(--series-1); }
i.series-2 { border-color: var(--series-2); }
i.series-3 { border-color: var(--series-3); }
i.series-4 { border-color: var(--series-4); }
i.series-5 { border-color: var(--series-5); }
i.series-6 { border-color: var(--series-6); }
i.series-7 { border-color: var(--series-7); }
i.series-8 { border-color: var(--series-8); }
i.series-9 { border-color: var(--series-9); }
figure svg { width: 100%; height: auto; margin-top: auto; }
.samples { width: 100%; max-width: 760px; image-rendering: pixelated; display: block; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; min-width: 560px; }
th, td { text-align: right; padding: 7px 0 7px 28px; border-bottom: 1px solid var(--rule); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-size: 13px; font-weight: 500; color: var(--muted); }
.facts { display: grid; grid-template-columns: minmax(140px, max-content) 1fr; gap: 4px 24px; margin: 16px 0 0; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
pre { margin: 0; padding: 14px 16px; overflow-x: auto; background: var(--card); border: 1px solid var(--rule);
  border-radius: 8px; font: 13px/1.5 ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
`;
