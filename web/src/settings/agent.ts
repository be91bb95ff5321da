/** What a browser calls itself, as a person would: `Firefox on Windows`. */
import { text } from '../text';

// In this order: most browsers name their relatives too.
const BROWSERS: readonly (readonly [RegExp, string])[] = [
  [/\bEdgA?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:Headless)?(?:Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
];
const SYSTEMS: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac OS X\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
];

/** Name the program behind a User-Agent header; other programs by the first word that they say of themselves. */
export function nameOf(agent: string): string {
  const { sessions } = text.settings;
  const system = SYSTEMS.find(([pattern]) => pattern.test(agent))?.[1] ?? '';
  const browser = BROWSERS.find(([pattern]) => pattern.test(agent))?.[1];
  if (browser) return sessions.on(browser, system);
  return /^[\w.-]{2,40}/.exec(agent)?.[0] ?? sessions.unknown;
}
