import { type Line, openLine, type Place } from "./line.ts";

/** What must be known of something that waits for its share. */
export interface Sharing {
  readonly team: string;
  readonly images: number;
}

/** A run of one item's images: `from`, `from + 1`, … `from + count - 1`. */
export interface Slice<T> {
  readonly item: T;
  readonly from: number;
  readonly count: number;
}

/** Teams that share one network, image by image. */
export interface FairShare<T extends Sharing> {
  add(item: T): void;
  /** Takes out what is still waiting of an item; false when nothing of it is. */
  remove(item: T): boolean;
  /** Takes up to `count` images: teams as their shares say, each team's own in the order in which they came. */
  take(count: number): Slice<T>[];
  /**
   * Images that will have been taken, of all teams, once so many of a team's items are taken to their last image that
   * they are a part (0 to 1) of what it has waiting; 0 when it has nothing.
   */
  until(team: string, part: number): number;
  readonly images: number;
  readonly requests: number;
}

interface Team<T> {
  readonly name: string;
  readonly weight: number;
  readonly line: Line<Entry<T>>;
  /** Waiting images. */
  images: number;
  /** Images that it may take before its turn ends; below 0 what it had in advance. */
  deficit: number;
  /** Whether it asks after a pause: it goes first, and may have a whole `burst` at once. */
  fresh: boolean;
  place?: Place<Team<T>>;
}

interface Entry<T> {
  readonly item: T;
  readonly team: Team<T>;
  taken: number;
}

/**
 * Deficit round-robin by images (Shreedhar & Varghese 1996), with the priority for sparse flows of FQ-CoDel (RFC 8290):
 * a team that asks after a pause goes before those that have been waiting, with up to `burst` images at once. What
 * that is more than its share is a debt, which it pays, also while it is silent, as the others are served; so nobody
 * gets more than a share by asking in bursts.
 *
 * Adding, removing and taking an image cost the same however many requests wait.
 *
 * @param weightOf a team's share in relation to the others'
 * @param quantum images of one turn at weight 1
 */
export function openFairShare<T extends Sharing>(o: {
  weightOf: (team: string) => number;
  quantum: number;
  burst: number;
}): FairShare<T> {
  const teams = new Map<string, Team<T>>();
  const entries = new Map<T, Place<Entry<T>>>();
  const rings = { fresh: openLine<Team<T>>(), old: openLine<Team<T>>() };
  let images = 0;

  function join(name: string): Team<T> {
    const weight = o.weightOf(name);
    const team: Team<T> = {
      name,
      weight,
      line: openLine(),
      images: 0,
      deficit: o.quantum * weight,
      fresh: true,
    };
    team.place = rings.fresh.append(team);
    teams.set(name, team);
    return team;
  }

  function leave(team: Team<T>): void {
    (team.fresh ? rings.fresh : rings.old).leave(team.place!);
    teams.delete(team.name);
  }

  function goLast(team: Team<T>): void {
    (team.fresh ? rings.fresh : rings.old).leave(team.place!);
    team.fresh = false;
    team.place = rings.old.append(team);
  }

  /** The images that the team whose turn it is may take now; 0 ends its turn. */
  function allowed(team: Team<T>): number {
    const advance = team.fresh ? Math.max(0, o.burst - o.quantum) * team.weight : 0;
    // At least one, or a weight below 1/burst could never begin.
    return Math.max(team.fresh && team.deficit > 0 ? 1 : 0, Math.floor(team.deficit + advance));
  }

  /** How many of `count` images each team gets; they are off the books when this returns. */
  function deal(count: number): Map<Team<T>, number> {
    const shares = new Map<Team<T>, number>();
    let missing = count;
    while (missing > 0) {
      const team = (rings.fresh.first ?? rings.old.first)!.value;
      const most = allowed(team);
      if (team.images > 0 && most > 0) {
        const share = Math.min(missing, team.images, most);
        shares.set(team, (shares.get(team) ?? 0) + share);
        team.deficit -= share;
        team.images -= share;
        missing -= share;
      } else if (team.images === 0 && team.deficit >= 0 && !team.fresh) leave(team);
      else {
        // A fresh one keeps what it has left or owes; the others are given their next turn's images.
        if (!team.fresh) team.deficit += o.quantum * team.weight;
        goLast(team);
      }
    }
    return shares;
  }

  function forget(place: Place<Entry<T>>): void {
    place.value.team.line.leave(place);
    entries.delete(place.value.item);
    if (entries.size > 0) return;
    // Nobody waits, so nobody owes anybody anything.
    for (const team of teams.values()) leave(team);
  }

  return {
    add(item) {
      const team = teams.get(item.team) ?? join(item.team);
      entries.set(item, team.line.append({ item, team, taken: 0 }));
      team.images += item.images;
      images += item.images;
    },
    remove(item) {
      const place = entries.get(item);
      if (!place) return false;
      const left = item.images - place.value.taken;
      place.value.team.images -= left;
      images -= left;
      forget(place);
      return true;
    },
    take(count) {
      const slices: Slice<T>[] = [];
      const shares = deal(Math.min(count, images));
      for (const [team, share] of shares) {
        for (let missing = share; missing > 0; ) {
          const place = team.line.first!;
          const { item, taken } = place.value;
          const size = Math.min(missing, item.images - taken);
          slices.push({ item, from: taken, count: size });
          missing -= size;
          images -= size;
          place.value.taken += size;
          if (place.value.taken === item.images) forget(place);
        }
      }
      return slices;
    },
    until(name, part) {
      const team = teams.get(name);
      const first = team?.line.first;
      if (!team || !first) return 0;
      // Only the first can be taken in part; a little less, because `part` is rounded.
      const wanted = part * (team.images + first.value.taken) - 1e-6;
      let [whole, own] = [0, 0];
      for (let place: Place<Entry<T>> | undefined = first; place && whole < wanted; place = place.after) {
        whole += place.value.item.images;
        own += place.value.item.images - place.value.taken;
      }
      const others = [...teams.values()].filter((each) => each !== team);
      return others.reduce(
        (sum, other) => sum + Math.min(other.images, (own * other.weight) / team.weight),
        own,
      );
    },
    get images() {
      return images;
    },
    get requests() {
      return entries.size;
    },
  };
}
