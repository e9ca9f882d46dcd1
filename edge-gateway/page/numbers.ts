const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const day = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", dateStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", hour: "2-digit", minute: "2-digit" });

/** 1,234,567 */
export const exact = (n: number) => whole.format(n);

/** 1.23M */
export const compact = (n: number) => short.format(n);

/** 3.4 GB, in powers of ten. */
export function bytes(n: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(n, 1)) / 3)));
  const value = n / 1000 ** power;
  return `${value >= 100 || power === 0 ? value.toFixed(0) : value.toFixed(1)} ${units[power]}`;
}

/** 67 %, and never 100 % or 0 % of what is not all or nothing; a dash of nothing. */
export function percent(part: number, all: number): string {
  if (all === 0) return "–";
  const share = (100 * part) / all;
  if (part > 0 && share < 1) return "< 1 %";
  if (part < all && share > 99) return "> 99 %";
  return `${Math.round(share)} %`;
}

/** 30 Nov */
export const date = (time: string | number) => day.format(new Date(time));

/** 30 Nov 2026 */
export const fullDate = (time: string | number) => dayAndYear.format(new Date(time));

/** 30 Nov, 14:00 */
export const dateAndTime = (time: string | number) => `${date(time)}, ${clock.format(new Date(time))}`;
