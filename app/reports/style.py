"""The look of the page: light, dark, and on paper."""

STYLE = """
:root { color-scheme: light dark; --ink:#1b2430; --soft:#5b6776; --line:#d9dfe6; --paper:#fff; --back:#f4f6f8;
  --pass:#1a7f4b; --fail:#c22f2f; --unknown:#8a6100;
  --c0:#0b6bb8; --c1:#c8530a; --c2:#1a7f4b; --c3:#8a4fb0; }
@media screen and (prefers-color-scheme: dark) { :root { --ink:#e7ecf2; --soft:#9fabb9; --line:#333d49;
  --paper:#1a2129; --back:#12171d; --pass:#4cc38a; --fail:#ff7b72; --unknown:#e3b341;
  --c0:#62b0f0; --c1:#f0a35e; --c2:#5fcf99; --c3:#c79be6; } }
* { box-sizing: border-box; }
body { margin:0; background:var(--back); color:var(--ink);
  font:15px/1.5 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif; }
main { max-width:1000px; margin:0 auto; padding:28px 20px 48px; }
header { display:flex; flex-wrap:wrap; gap:12px 20px; align-items:center; justify-content:space-between;
  margin-bottom:20px; }
h1 { font-size:26px; margin:0; letter-spacing:-.01em; } h2 { font-size:18px; margin:0 0 12px; }
h3 { font-size:14px; margin:0 0 6px; }
p { margin:4px 0; } .soft { color:var(--soft); } .small { font-size:13px; }
section, .tile { background:var(--paper); border:1px solid var(--line); border-radius:10px; }
section { padding:18px 20px; margin:0 0 16px; }
.tiles { display:grid; grid-template-columns:repeat(4,1fr); gap:12px; margin-bottom:16px; }
.tile { padding:12px 16px; } .tile b { display:block; font-size:22px; line-height:1.3; }
.status { display:inline-block; font-weight:600; font-size:12px; padding:1px 9px; border-radius:99px;
  border:1.5px solid currentColor; white-space:nowrap; }
.verdict { font-size:17px; padding:5px 18px; }
.pass { color:var(--pass); } .fail { color:var(--fail); } .unknown { color:var(--unknown); }
.wide { overflow-x:auto; }
table { border-collapse:collapse; width:100%; font-size:14px; font-variant-numeric:tabular-nums; }
th { text-align:left; color:var(--soft); font-weight:500; font-size:13px; }
th, td { padding:6px 10px 6px 0; border-bottom:1px solid var(--line); vertical-align:top; }
tr:last-child td { border-bottom:0; } td.n, th.n { text-align:right; white-space:nowrap; }
figure { margin:0 0 14px; break-inside:avoid; } svg { display:block; width:100%; height:auto; }
.grid2 { display:grid; grid-template-columns:1fr 1fr; gap:6px 22px; }
.legend span { margin-right:16px; white-space:nowrap; }
.legend i { display:inline-block; width:16px; height:3px; border-radius:2px; margin-right:6px;
  vertical-align:middle; background:currentColor; }
svg text { font:12px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif; fill:var(--soft); }
svg .amount { text-anchor:end; } svg .time, svg .none { text-anchor:middle; }
svg .grid { stroke:var(--line); } svg .axis { stroke:var(--soft); }
svg .limit { stroke:var(--fail); stroke-dasharray:6 4; } svg text.limit { stroke:none; fill:var(--fail); }
.line { fill:none; stroke:currentColor; stroke-width:1.8; stroke-linejoin:round; }
.band { fill:currentColor; opacity:.18; } .dot { fill:currentColor; }
.trend { stroke:currentColor; stroke-width:1.4; stroke-dasharray:5 4; opacity:.85; }
.c0 { color:var(--c0); } .c1 { color:var(--c1); } .c2 { color:var(--c2); } .c3 { color:var(--c3); }
.mark { stroke:var(--soft); stroke-dasharray:2 3; } .mark.leak, .mark.emergency { stroke:var(--fail); }
.mark.pressure { stroke:var(--unknown); }
@media screen and (max-width:720px) { .tiles { grid-template-columns:1fr 1fr; }
  .grid2 { grid-template-columns:1fr; } }
@page { margin:14mm; }
@media print { body { background:#fff; font-size:12px; print-color-adjust:exact; }
  main { max-width:none; padding:0; } section { break-inside:auto; padding:12px 14px; }
  h2 { break-after:avoid; } .small, .status { font-size:10px; } .tile b { font-size:17px; }
  table { font-size:11px; } th { font-size:10px; } th, td { padding:4px 6px 4px 0; }
  tr { break-inside:avoid; } .wide { overflow:visible; } }
"""
