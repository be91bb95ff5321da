"""The style of the pages that the API renders: those tokens and components of the web app that they need.

Each page contains it, so that a shared clip is one request. The fonts are files of the web app, if it is built.
"""

import base64
from hashlib import sha256
from pathlib import Path

ASSETS = Path(__file__).parents[1] / "site" / "assets"
FONTS = (
    ("Figtree Variable", "300 900", "figtree-latin-wght-normal-*.woff2"),
    ("Bricolage Grotesque Variable", "200 800", "bricolage-grotesque-latin-wght-normal-*.woff2"),
)
# Values are those of web/src/styles/tokens.css.
RULES = """
:root { color-scheme: light dark;
  --canvas: light-dark(oklch(0.982 0.004 75), oklch(0.168 0.008 55));
  --surface: light-dark(oklch(1 0 0), oklch(0.208 0.009 55));
  --surface-2: light-dark(oklch(0.966 0.006 75), oklch(0.246 0.01 55));
  --line: light-dark(oklch(0.912 0.009 75), oklch(0.302 0.012 55));
  --line-strong: light-dark(oklch(0.62 0.016 65), oklch(0.56 0.014 60));
  --text: light-dark(oklch(0.24 0.02 50), oklch(0.955 0.007 80));
  --text-2: light-dark(oklch(0.43 0.018 55), oklch(0.785 0.012 75));
  --text-3: light-dark(oklch(0.515 0.016 55), oklch(0.69 0.013 70));
  --ink: light-dark(oklch(0.265 0.024 50), oklch(0.945 0.01 80));
  --honey: light-dark(oklch(0.822 0.16 79), oklch(0.832 0.15 80));
  --honey-hover: light-dark(oklch(0.788 0.162 76), oklch(0.872 0.14 83));
  --on-honey: oklch(0.235 0.035 55);
  --honey-mark: light-dark(oklch(0.632 0.146 60), oklch(0.832 0.15 80));
  --focus: light-dark(oklch(0.535 0.15 55), oklch(0.872 0.14 83));
  --bad: light-dark(oklch(0.515 0.19 27), oklch(0.755 0.145 25));
  --film: oklch(0.135 0.01 55);
  --on-film: oklch(1 0 0);
  --honey-film: oklch(0.832 0.15 80);
  --humor: light-dark(oklch(0.51 0.15 40), oklch(0.82 0.115 52));
  --humor-wash: light-dark(oklch(0.955 0.032 50), oklch(0.29 0.055 45));
  --celebration: light-dark(oklch(0.52 0.19 358), oklch(0.81 0.12 358));
  --celebration-wash: light-dark(oklch(0.955 0.027 358), oklch(0.285 0.06 355));
  --surprise: light-dark(oklch(0.5 0.185 300), oklch(0.805 0.105 302));
  --surprise-wash: light-dark(oklch(0.955 0.024 302), oklch(0.285 0.06 300));
  --emotional: light-dark(oklch(0.495 0.165 258), oklch(0.8 0.095 252));
  --emotional-wash: light-dark(oklch(0.957 0.022 255), oklch(0.28 0.05 258));
  --engagement: light-dark(oklch(0.475 0.088 192), oklch(0.825 0.09 190));
  --engagement-wash: light-dark(oklch(0.955 0.027 190), oklch(0.275 0.04 192));
  --shadow: 0 2px 6px light-dark(oklch(0.3 0.03 50 / 0.07), oklch(0 0 0 / 0.35)),
    0 24px 60px -18px light-dark(oklch(0.3 0.03 50 / 0.28), oklch(0 0 0 / 0.7));
  --font: "Figtree Variable", ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  --display: "Bricolage Grotesque Variable", var(--font); }
*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
body { margin: 0; background: var(--canvas); color: var(--text); font: 430 0.9375rem/1.5 var(--font);
  overflow-wrap: anywhere; -webkit-font-smoothing: antialiased; }
h1, p { margin: 0; }
h1 { font: 740 1.75rem/1.15 var(--display); letter-spacing: -0.03em; text-wrap: balance; }
a { color: inherit; text-decoration-color: var(--honey-mark); text-decoration-thickness: 0.11em;
  text-underline-offset: 0.2em; }
:focus-visible { outline: 2.5px solid var(--focus); outline-offset: 2px; border-radius: 0.375rem; }
.top, main { width: 100%; max-width: 60rem; margin-inline: auto; padding-inline: 2rem; }
.top { display: flex; align-items: center; justify-content: space-between; padding-block: 1rem; }
.brand { display: inline-flex; align-items: center; gap: 0.5em; font: 740 1.125rem/1 var(--display);
  letter-spacing: -0.025em; text-decoration: none; }
.brand svg, .bear { width: 1.75em; height: 1.75em; }
svg .b { stroke: var(--honey); stroke-linecap: round; fill: none; }
svg .f { fill: var(--on-honey); stroke: var(--on-honey); } svg .l { fill: none; }
svg .a { stroke: var(--ink); fill: none; stroke-linecap: round; }
.btn { display: inline-flex; align-items: center; justify-content: center; gap: 0.45em; min-height: 2.25rem;
  padding: 0 0.75rem; border: 1px solid var(--line-strong); border-radius: 0.625rem; background: var(--surface);
  color: var(--text); font: 550 0.9375rem/1.1 var(--font); text-decoration: none; cursor: pointer; }
.btn:hover { background: var(--surface-2); }
.go { background: var(--honey); border-color: transparent; color: var(--on-honey); font-weight: 650; }
.go:hover { background: var(--honey-hover); }
.soft { background: var(--surface-2); border-color: transparent; }
.wide { width: 100%; min-height: 2.75rem; font-size: 1.0625rem; border-radius: 0.8rem; }
.i { width: 1.25em; height: 1.25em; flex: none; fill: none; stroke: currentColor; stroke-width: 1.7;
  stroke-linecap: round; stroke-linejoin: round; }
main { display: grid; gap: 1.5rem; padding-block: 0.5rem 3rem; }
.screen { display: grid; place-items: center; background: var(--film); border-radius: 1.5rem; overflow: hidden;
  box-shadow: var(--shadow); }
video { display: block; width: auto; height: auto; max-width: 100%; max-height: min(74vh, 46rem); min-width: 0; }
.screen.wide-clip video { width: 100%; }
audio { display: block; width: 100%; padding: 2rem; }
.player { position: relative; color: var(--on-film); }
.player > :is(video, audio, .big, .fault) { grid-area: 1 / 1; }
.live video { cursor: pointer; }
.live audio { display: none; }
.sound.live { min-height: 13rem; padding-bottom: 3rem; }
.big, .ctl { display: grid; place-items: center; border: 0; padding: 0; color: inherit; background: none;
  cursor: pointer; }
.big { z-index: 1; width: 5.2rem; height: 5.2rem; border-radius: 50%; background: var(--honey); color: var(--on-honey);
  box-shadow: 0 8px 40px color-mix(in oklab, var(--film) 50%, transparent);
  transition: scale 320ms cubic-bezier(0.3, 1.6, 0.5, 1); }
.big:hover { scale: 1.07; } .big .i { width: 2.2rem; height: 2.2rem; }
.playing:not(.sound) .big, .failed .big { display: none; }
.solid { fill: currentColor; } .bold { stroke-width: 3; }
.ctl:not(.on) .on.i, .ctl.on .off.i, .player:not(.playing) .big .on.i, .playing .big .off.i { display: none; }
.bar { position: absolute; inset: auto 0 0; display: flex; flex-wrap: wrap; align-items: center; gap: 0 0.25rem;
  padding: 2rem 0.75rem 0.4rem; transition: opacity 190ms;
  background: linear-gradient(transparent, color-mix(in oklab, var(--film) 85%, transparent)); }
.sound .bar { background: none; }
.idle:not(.sound) { cursor: none; } .idle:not(.sound) video { cursor: none; }
.idle:not(.sound) .bar:not(:has(:focus-visible)) { opacity: 0; }
.ctl { width: 2.25rem; height: 2.25rem; border-radius: 0.625rem; }
.ctl:hover { background: color-mix(in oklab, var(--on-film) 16%, transparent); }
.ctl:disabled { opacity: 0.5; cursor: default; background: none; }
.player :focus-visible { outline-color: var(--honey-film); }
.wave { flex: 0 0 100%; height: 2rem; padding-inline: 0.5rem; opacity: 0.7; pointer-events: none; }
.bare .wave { display: none; } @media (max-width: 40rem) { .wave { display: none; } }
.time { flex: 1; font-size: 0.8125rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.fault { z-index: 1; margin: 1rem 1rem 4.5rem; padding: 0.75rem 1rem; max-width: 30rem; border-radius: 1rem;
  background: var(--film); color: var(--on-film); text-align: center; }
.seek { --done: calc(var(--at, 0) * (100% - 1rem) + 0.5rem); appearance: none; flex: 0 0 100%;
  height: 1.5rem; margin: 0; border: 0; padding: 0; min-height: 0; background: none; cursor: pointer; }
.seek::-webkit-slider-runnable-track { height: 0.3rem; border-radius: 1rem; background: linear-gradient(to right,
  var(--honey-film) var(--done), color-mix(in oklab, var(--on-film) 45%, transparent) var(--done)); }
.seek::-moz-range-track { height: 0.3rem; border-radius: 1rem; background: linear-gradient(to right,
  var(--honey-film) var(--done), color-mix(in oklab, var(--on-film) 45%, transparent) var(--done)); }
.seek::-webkit-slider-thumb { appearance: none; width: 1rem; height: 1rem; margin-top: -0.35rem; border-radius: 50%;
  background: var(--honey-film); }
.seek::-moz-range-thumb { width: 1rem; height: 1rem; border: 0; border-radius: 50%; background: var(--honey-film); }
.waiting .seek { animation: wait 1s 300ms ease-in-out infinite alternate; }
@keyframes wait { to { opacity: 0.4; } }
.player:fullscreen { border-radius: 0; }
.player:fullscreen video { width: 100vw; height: 100vh; max-height: none; }
.about { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.about > :first-child { flex: 1 1 20rem; display: grid; gap: 0.5rem; justify-items: start; }
.text { color: var(--text-2); max-width: 52ch; white-space: pre-line; }
.facts { display: flex; flex-wrap: wrap; gap: 0.3rem 0.9rem; align-items: center; font-size: 0.8125rem;
  color: var(--text-3); font-variant-numeric: tabular-nums; }
.kind { padding: 0.16em 0.6em; border-radius: 999px; font-size: 0.75rem; font-weight: 650; }
.humor { color: var(--humor); background: var(--humor-wash); }
.celebration { color: var(--celebration); background: var(--celebration-wash); }
.surprise { color: var(--surprise); background: var(--surprise-wash); }
.emotional { color: var(--emotional); background: var(--emotional-wash); }
.engagement { color: var(--engagement); background: var(--engagement-wash); }
.acts { display: flex; flex-wrap: wrap; gap: 0.5rem; }
.said { flex: 0 0 100%; font-size: 0.8125rem; color: var(--text-2); } .said:empty { display: none; }
footer { border-top: 1px solid var(--line); padding-top: 1rem; font-size: 0.8125rem; color: var(--text-3); }
.card { width: min(26rem, 100%); margin: 4vh auto 0; display: grid; gap: 1rem; padding: 1.5rem;
  border: 1px solid var(--line); border-radius: 1rem; background: var(--surface); }
.card p { color: var(--text-2); } .card [role="alert"] { color: var(--bad); }
.card .bear { width: 8.5rem; height: auto; justify-self: center; }
.card.middle { text-align: center; justify-items: center; }
form { display: grid; gap: 1rem; width: 100%; }
label { display: grid; gap: 0.35rem; font-size: 0.8125rem; font-weight: 550; color: var(--text-2); }
input { font: inherit; font-size: 0.9375rem; min-height: 2.25rem; padding: 0 0.75rem; width: 100%;
  border: 1px solid var(--line-strong); border-radius: 0.625rem; background: var(--surface); color: var(--text); }
.bare { background: var(--film); }
.bare .screen { height: 100vh; border-radius: 0; box-shadow: none; }
.bare .sound { min-height: 0; padding: 0; } .bare .sound .big { display: none; }
.bare .sound .bar { inset: auto 0; padding-block: 0.4rem; }
.bare .sound .fault { align-self: start; margin: 0.25rem; padding: 0.4rem 0.75rem; font-size: 0.8125rem; }
@media (max-height: 15rem) { .bare .big { display: none; } }
.bare video { width: 100vw; height: 100vh; max-height: none; object-fit: contain; }
@media (max-width: 760px) {
  .top { padding-inline: 1rem; } main { padding-inline: 1rem; }
  .screen { margin-inline: -1rem; border-radius: 0; }
  .bare .screen { margin-inline: 0; }
  .big { width: 4rem; height: 4rem; }
}
@media (pointer: coarse) { .ctl { width: 2.75rem; height: 2.75rem; } .seek { height: 2.25rem; } }
@media (prefers-reduced-motion: reduce) { .big, .bar { transition: none; } .waiting .seek { animation: none; } }
"""


def _font_faces() -> str:
    """Return the faces whose files are built; without them the system's font takes over."""
    return "".join(
        f'@font-face {{ font-family: "{family}"; font-display: swap; font-weight: {weights}; '
        f'src: url("/assets/{path.name}") format("woff2"); }}\n'
        for family, weights, pattern in FONTS
        for path in sorted(ASSETS.glob(pattern))[:1]
    )


STYLE = _font_faces() + RULES
STYLE_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
