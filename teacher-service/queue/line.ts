/** A place in a {@link Line}. */
export interface Place<T> {
  readonly value: T;
  before?: Place<T>;
  after?: Place<T>;
}

/** First in, first out; whoever holds a place can also leave from the middle. Every operation takes constant time. */
export interface Line<T> {
  readonly first: Place<T> | undefined;
  append(value: T): Place<T>;
  /** Takes a place out; it must be in this line. */
  leave(place: Place<T>): void;
}

/** @example const line = openLine<string>(); const a = line.append("a"); line.leave(a); */
export function openLine<T>(): Line<T> {
  let first: Place<T> | undefined;
  let last: Place<T> | undefined;
  return {
    get first() {
      return first;
    },
    append(value) {
      const place: Place<T> = last ? { value, before: last } : { value };
      if (last) last.after = place;
      else first = place;
      last = place;
      return place;
    },
    leave({ before, after }) {
      if (before) before.after = after;
      else first = after;
      if (after) after.before = before;
      else last = before;
    },
  };
}
