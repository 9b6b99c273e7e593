/** What one person on a stage may do to another: what a menu shows. The server decides (`space`'s rules); this only keeps from offering what it would refuse. Pure. */
import type { Action, Person, Role, SpaceState } from "../api/spaces";

const RANK: Record<Role, number> = { listener: 0, speaker: 1, "co-host": 2, host: 3 };

/** Whether somebody helps to run the space. */
export function hosts(role: Role | undefined): boolean {
  return role === "host" || role === "co-host";
}

/** In the order of a menu, the gentlest first. */
export function may(you: { id: string; role: Role }, other: Person, state: SpaceState): Action[] {
  if (!hosts(you.role) || other.id === you.id) return [];
  if (other.standing !== "welcome") return ["pardon"];
  const rules = you.role === "host";
  const below = RANK[other.role] < RANK[you.role];
  const there = other.presence === "on-stage";
  const gathers = state === "open" || state === "live";
  const all: [Action, boolean][] = [
    ["mute", below && there && !other.muted],
    ["call", gathers && other.presence === "away" && RANK[other.role] <= RANK.speaker],
    ["make-co-host", rules && there && other.role === "speaker"],
    ["unmake-co-host", rules && other.role === "co-host"],
    ["hand-over", rules && there],
    ["send-back", below && (other.role !== "listener" || other.presence !== "away")],
    ["remove", below],
    ["block", below],
  ];
  return all.filter(([, allowed]) => allowed).map(([action]) => action);
}

/** What cannot be taken back by another press, or takes something from somebody, is asked twice. */
export function asksTwice(action: Action): boolean {
  return ["hand-over", "send-back", "remove", "block", "unmake-co-host"].includes(action);
}

/** Whether this person may end it for all: the host, or a co-host while the host is not there. */
export function mayEnd(role: Role | undefined, speakers: { role?: string }[]): boolean {
  return role === "host" || (role === "co-host" && !speakers.some((speaker) => speaker.role === "host"));
}
