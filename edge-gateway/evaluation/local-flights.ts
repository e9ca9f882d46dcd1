import { Flight, type FlightControl } from "./flight.ts";

/**
 * The flights of one process, which forgets those that have landed.
 *
 * @example
 * const flights = localFlights();
 * const boarding = await flights(key).join(5000);
 */
export function localFlights(): (key: string) => FlightControl {
  const open = new Map<string, Flight>();
  return (key) => {
    const flight = open.get(key) ?? new Flight();
    open.set(key, flight);
    return {
      join: (patienceMs) => flight.join(patienceMs),
      renew: (token) => flight.renew(token),
      async land(token, landing) {
        await flight.land(token, landing);
        if (flight.idle() && open.get(key) === flight) open.delete(key);
      },
    };
  };
}
