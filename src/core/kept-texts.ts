// JSON texts that are kept from one answer to the next. What is kept counts only for exactly the state that the database tells
// with each answer, in one statement. So it does not matter which process made a change, and nobody sees what was before it.
//
// A state is the room's version, which every change of a room raises, and a count of the few changes that are in no version
// (`countUnversioned`): another name of an author, imports, which give a room its version at their end, and what an erasure
// takes off messages that are deleted or stay. Whatever else changes what a room or its messages look like must do one or the
// other.
import type {Chat} from './chat.ts';

/** Characters of all texts of one kind that are kept for a chat: some fifteen thousand rooms, or five hundred pages of a hundred messages. */
const maxKept = 12_000_000;
/** What nobody counts, such as a backup that is played back under a running server, is seen after this time. */
const keptMs = 60_000;
/** What is kept beside the text of each. */
const besides = 400;

export interface Kept {
  state: string;
  text: string;
}

export interface KeptTexts<Key, T extends Kept> {
  /** It may be of any state. */
  find(key: Key, now?: number): T | undefined;
  keep(key: Key, kept: T): void;
}

/** A store of its own for each chat, for as long as that lives. */
export function keptTexts<Key, T extends Kept>(): (chat: Chat) => KeptTexts<Key, T> {
  const stores = new WeakMap<Chat, KeptTexts<Key, T>>();
  return chat => {
    const store = stores.get(chat) ?? createStore<Key, T>();
    stores.set(chat, store);
    return store;
  };
}

function createStore<Key, T extends Kept>(): KeptTexts<Key, T> {
  /** Those that were kept first come first. */
  const byKey = new Map<Key, {kept: T; until: number}>();
  let size = 0;

  function drop(key: Key): void {
    const found = byKey.get(key);
    if (!found) return;
    size -= found.kept.text.length + besides;
    byKey.delete(key);
  }

  function dropOld(now: number): void {
    for (const [key, {until}] of byKey) {
      if (size <= maxKept && now < until) return;
      drop(key);
    }
  }

  return {
    find(key, now = performance.now()) {
      const found = byKey.get(key);
      return found && now < found.until ? found.kept : undefined;
    },
    keep(key, kept) {
      const now = performance.now();
      drop(key);
      byKey.set(key, {kept, until: now + keptMs});
      size += kept.text.length + besides;
      dropOld(now);
    },
  };
}
