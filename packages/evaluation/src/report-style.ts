// The style sheet of the HTML report: light and dark, no external resources.

export const REPORT_STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9; --card: #ffffff; --ink: #1b2330; --muted: #667085; --rule: #e2e6ec;
  --s0: #98a2b3; --s1: #2f6fdb; --s2: #e0752d; --s3: #2a9d76; --s4: #8a57c9; --s5: #c43d6b;
  --system: #667085; --user: #3b5b8c; --policy: #1f7a4d; --tool: #9a5b13;
  --good: #1f7a4d; --bad: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #11151b; --card: #1a2029; --ink: #e6e9ee; --muted: #98a2b3; --rule: #2c3440;
    --s0: #7d8898; --s1: #6ea3f5; --s2: #f0985a; --s3: #58c9a1; --s4: #b68cf0; --s5: #ee7ba3;
    --system: #98a2b3; --user: #8fb2ea; --policy: #6fd3a2; --tool: #e5ae66;
    --good: #6fd3a2; --bad: #f0877c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 40px 24px 72px; }
h1 { font-size: 28px; line-height: 1.2; margin: 0 0 6px; letter-spacing: -0.01em; }
h2 { font-size: 19px; margin: 48px 0 14px; letter-spacing: -0.005em; }
h3 { font-size: 14px; margin: 24px 0 10px; color: var(--muted); font-weight: 600; }
p { margin: 0 0 12px; max-width: 76ch; }
.muted, p.note { color: var(--muted); }
.card, figure, details.trajectory { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; }
.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(180px, 1fr)); gap: 14px; margin: 26px 0 0; }
.headline .card { padding: 16px 18px; }
.headline .label { color: var(--muted); font-size: 13px; }
.headline .value { font-size: 30px; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; letter-spacing: -0.02em; }
.headline .detail { color: var(--muted); font-size: 13px; font-variant-numeric: tabular-nums; }
dl.facts { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 14px 0 0; font-size: 13px; }
dl.facts div { display: flex; gap: 7px; }
dl.facts dt { color: var(--muted); } dl.facts dd { margin: 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--rule); border-radius: 10px; background: var(--card); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 14px; }
th, td { padding: 7px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; color: var(--muted); font-size: 13px; }
th:first-child, td:first-child { text-align: left; padding-left: 16px; }
th:last-child, td:last-child { padding-right: 16px; }
tr:last-child td { border-bottom: 0; }
tr.total td { font-weight: 600; border-top: 2px solid var(--rule); }
td small { display: block; color: var(--muted); font-size: 11.5px; font-weight: 400; line-height: 1.3; }
th.first, td.first { border-left: 1px solid var(--rule); }
th .swatch { margin-right: 6px; }
.up { color: var(--good); } .down { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; }
figure { margin: 0; padding: 14px 16px 10px; }
figure.wide { padding: 18px; margin-bottom: 14px; }
figcaption { display: flex; justify-content: space-between; gap: 12px; font-size: 13.5px; font-weight: 600; }
figcaption b { color: var(--muted); font-weight: 500; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--muted); font-size: 11px; font-variant-numeric: tabular-nums; }
svg text.name { fill: var(--ink); font-size: 12.5px; }
.grid { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--muted); stroke-width: 1; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.faint { opacity: 0.28; stroke-width: 1; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); }
.s3 { --c: var(--s3); } .s4 { --c: var(--s4); } .s5 { --c: var(--s5); }
.chart .s0 { --c: var(--s1); } .chart .s1 { --c: var(--s2); } .chart .s2 { --c: var(--s3); }
.chart .s3 { --c: var(--s4); } .chart .s4 { --c: var(--s5); } .chart .s5 { --c: var(--s0); }
.line, .interval { stroke: var(--c); } .mean, .dot { fill: var(--c); }
.interval { stroke-width: 3.5; stroke-linecap: round; opacity: 0.45; }
.swatch { display: inline-block; width: 10px; height: 10px; border-radius: 3px; background: var(--c); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 16px; font-size: 12.5px; color: var(--muted); padding-top: 4px; }
.legend .swatch { margin-right: 6px; }
.bars { padding: 16px 18px; display: grid; grid-template-columns: max-content 1fr max-content; gap: 8px 14px; align-items: center; font-size: 13.5px; }
.bars .bar { height: 12px; border-radius: 4px; background: var(--s1); min-width: 2px; }
.bars .seconds { text-align: right; font-variant-numeric: tabular-nums; }
details.more { margin-top: 14px; } summary { cursor: pointer; }
details.more > summary { color: var(--muted); margin-bottom: 12px; font-size: 13.5px; }
details.trajectory { margin-bottom: 10px; }
details.trajectory > summary { padding: 12px 16px; display: flex; flex-wrap: wrap; gap: 6px 10px; align-items: baseline; list-style: none; }
details.trajectory > summary::-webkit-details-marker { display: none; }
details.trajectory > summary::before { content: '▸'; color: var(--muted); }
details.trajectory[open] > summary::before { content: '▾'; }
details.trajectory .asked { flex: 1 1 300px; overflow-wrap: anywhere; }
.tag { font-size: 12px; padding: 1px 8px; border-radius: 999px; border: 1px solid var(--rule); color: var(--muted); }
.tag.right { color: var(--good); border-color: currentColor; } .tag.wrong { color: var(--bad); border-color: currentColor; }
.messages { padding: 2px 16px 14px; }
.message { --a: var(--system); border-left: 3px solid var(--a); padding: 2px 0 2px 12px; margin: 10px 0; }
.message.user { --a: var(--user); } .message.policy { --a: var(--policy); } .message.tool { --a: var(--tool); }
.message .author { color: var(--a); font-size: 12px; font-weight: 650; }
.message pre { margin: 2px 0 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
.message pre b { color: var(--a); font-weight: 600; }
.outcome { font-size: 13.5px; padding: 8px 0 0; }
.outcome dt { color: var(--muted); float: left; clear: left; width: 76px; } .outcome dd { margin: 0 0 2px 84px; overflow-wrap: anywhere; }
footer { margin-top: 56px; color: var(--muted); font-size: 13px; }
`;
