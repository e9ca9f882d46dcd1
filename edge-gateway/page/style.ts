/** The page's one stylesheet: light or dark as the reader's system is, from 320 px on. */
export const STYLE = `
:root {
  --back: #f6f7f9; --card: #ffffff; --ink: #1b1f27; --soft: #4d5666; --line: #d3d8e0; --edge: #7b8494;
  --accent: #1d4ed8; --on-accent: #ffffff; --danger: #b42318; --wrong: #fdeceb; --good: #e6f4ea; --good-ink: #14532d;
  --s0: #2563eb; --s1: #c2410c; --s2: #0f766e; --s3: #9333ea; --s4: #a16207; --s5: #be123c; --s6: #475569;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #12151b; --card: #1b2029; --ink: #e9ecf1; --soft: #aab3c2; --line: #343c49; --edge: #79849a;
    --accent: #8ab4ff; --on-accent: #0d1320; --danger: #ff9d94; --wrong: #3b1a18; --good: #16301f; --good-ink: #b4e6c3;
    --s0: #7aa7ff; --s1: #fb9a5b; --s2: #4fd1c5; --s3: #c99bff; --s4: #e3c04f; --s5: #ff8fa3; --s6: #a8b4c4;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--back); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center; padding: .75rem 1rem; background: var(--card); border-bottom: 1px solid var(--line); }
header ul, .choice, .legend, .limits { list-style: none; margin: 0; padding: 0; }
header ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
header form { margin-left: auto; }
.brand { margin: 0; font-weight: 700; }
.brand span { font-weight: 400; color: var(--soft); }
main { max-width: 62rem; margin: 0 auto; padding: 1rem 1rem 4rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .75rem 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
a { color: var(--accent); text-underline-offset: .2em; }
header a, .choice a { display: inline-block; padding: .25rem 0; }
[aria-current] { color: var(--ink); font-weight: 600; text-decoration: none; border-bottom: 2px solid var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: .2rem; }
.skip { position: absolute; left: -100rem; background: var(--card); padding: .5rem 1rem; }
.skip:focus { left: .5rem; top: .5rem; z-index: 1; }
.unseen { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; margin: 1rem 0; }
.narrow { max-width: 28rem; }
.hint, caption, .times, .scale { color: var(--soft); font-size: .875rem; }
.hint { margin: .25rem 0 1rem; }
button + .hint { margin: 1rem 0 0; }
.empty { color: var(--soft); background: var(--card); border: 1px dashed var(--edge); border-radius: .5rem; padding: 1rem; margin: .5rem 0; }
.notice, .wrong { border-radius: .5rem; padding: .75rem 1rem; margin: 0 0 1rem; }
.notice { background: var(--good); color: var(--good-ink); }
.wrong { background: var(--wrong); border-left: .3rem solid var(--danger); }
.wrong p { margin: .25rem 0; overflow-wrap: anywhere; }
label, legend { font-weight: 600; }
label { display: block; margin-bottom: .25rem; }
fieldset { border: 0; margin: 0 0 1rem; padding: 0; }
.check { display: flex; gap: .6rem; align-items: baseline; font-weight: 400; padding: .25rem 0; margin: 0; }
input:not([type=checkbox]) { width: 100%; min-height: 2.75rem; padding: .5rem .75rem; font: inherit; color: inherit; background: var(--back); border: 1px solid var(--edge); border-radius: .375rem; }
input[type=checkbox] { width: 1.1rem; height: 1.1rem; flex: none; accent-color: var(--accent); transform: translateY(.15rem); }
.fields { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 0 1.25rem; }
button, .button { display: inline-block; min-height: 2.75rem; padding: .5rem 1rem; font: inherit; font-weight: 600; line-height: 1.6; color: var(--on-accent); background: var(--accent); border: 1px solid transparent; border-radius: .375rem; cursor: pointer; text-decoration: none; }
button.quiet { color: var(--ink); background: none; border-color: var(--edge); min-height: 2.25rem; padding: .2rem .75rem; font-weight: 400; }
button.danger { background: var(--danger); }
summary { cursor: pointer; padding: .25rem 0; }
.card > summary { font-weight: 600; }
.card[open] > summary { margin-bottom: .5rem; }
.choice { display: flex; gap: 1.25rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(12rem, 100%), 1fr)); gap: .75rem; margin: 1rem 0; }
.tiles > div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
dt { color: var(--soft); }
dd { margin: 0; }
dd strong { display: block; font-size: 1.6rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
dd span { color: var(--soft); font-size: .875rem; }
.plot { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: .25rem .5rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem .75rem .5rem; }
.plot svg { width: 100%; height: 11rem; display: block; }
.scale { display: flex; flex-direction: column; justify-content: space-between; text-align: right; font-variant-numeric: tabular-nums; margin: -.65rem 0; min-width: 2.25rem; }
.times { grid-column: 2; display: flex; justify-content: space-between; gap: .5rem; }
.times :last-child { text-align: right; }
.grid { stroke: var(--line); stroke-width: 1; vector-effect: non-scaling-stroke; fill: none; }
.s0 { --colour: var(--s0); } .s1 { --colour: var(--s1); } .s2 { --colour: var(--s2); } .s3 { --colour: var(--s3); }
.s4 { --colour: var(--s4); } .s5 { --colour: var(--s5); } .s6 { --colour: var(--s6); }
rect { fill: var(--colour, var(--s0)); }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; margin: .5rem 0; font-size: .875rem; font-variant-numeric: tabular-nums; }
.legend li { overflow-wrap: anywhere; }
.swatch { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin-right: .4rem; background: var(--colour); forced-color-adjust: none; }
.limits { display: grid; gap: .75rem; }
.limits li { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; }
.limits .hint { margin: .25rem 0 0; }
.line { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; font-variant-numeric: tabular-nums; }
.left { width: 100%; height: .5rem; display: block; margin: .4rem 0; background: var(--line); border-radius: .25rem; }
.left.low { --colour: var(--danger); }
.scroll { position: relative; overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; margin: .5rem 0; }
table { border-collapse: collapse; width: 100%; font-size: .9375rem; }
.wide { min-width: 40rem; }
caption { text-align: left; padding: .6rem .75rem .3rem; }
th, td { padding: .45rem .75rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; vertical-align: bottom; border-top: 0; }
tbody th { font-weight: 600; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
thead .number { white-space: normal; }
.time { white-space: nowrap; }
code { font-family: ui-monospace, monospace; font-size: .9em; }
.key { display: block; padding: .75rem; background: var(--back); border: 1px solid var(--edge); border-radius: .375rem; overflow-wrap: anywhere; user-select: all; }
.confirm summary { padding: 0; color: var(--danger); }
.confirm p { margin: .5rem 0; }
.confirm button { margin-bottom: .5rem; white-space: nowrap; }
`;

/** A teacher's bars and a student's, which is lower. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#2563eb"/><path d="M4 13V4M8 13V6M12 13V9" stroke="#fff" stroke-width="2"/></svg>
`;
