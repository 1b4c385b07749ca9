// Who may do what: one table, which both doors obey because core/access reads it and every use case asks there. An action
// is named by the words that a refusal says it in.

/** `unknown`: not let in at all. `denied`: refused openly. `hidden`: told what is told of a room that is not there. */
export type Right = 'yes' | 'denied' | 'hidden' | 'unknown';

/** By how they stand to the room, where there is one. */
export type Caller = keyof ReturnType<typeof row>;

// prettier-ignore
export const rights = {
  //                                          stranger  member    admin     service   operator
  // A room and what is in it.
  'see a room':                        row('hidden', 'yes',    'yes',    'yes',    'yes'),
  'read messages':                     row('hidden', 'yes',    'yes',    'yes',    'yes'),
  'list members':                      row('hidden', 'yes',    'yes',    'yes',    'yes'),
  'post a message':                    row('hidden', 'yes',    'yes',    'yes',    'yes'),
  'post as somebody else':             row('hidden', 'denied', 'denied', 'yes',    'yes'),
  'delete own messages':               row('hidden', 'yes',    'yes',    'yes',    'yes'),
  'delete messages of others':         row('hidden', 'denied', 'yes',    'yes',    'yes'),
  'join a room':                       row('yes',    'yes',    'yes',    'denied', 'denied'),
  'join a private room':               row('hidden', 'yes',    'yes',    'denied', 'denied'),
  'leave a room':                      row('hidden', 'yes',    'yes',    'denied', 'denied'),
  'read a room':                       row('hidden', 'yes',    'yes',    'denied', 'denied'),
  'change it':                         row('hidden', 'denied', 'yes',    'yes',    'yes'),
  'add members or change roles':       row('hidden', 'denied', 'yes',    'yes',    'yes'),
  'remove members':                    row('hidden', 'denied', 'yes',    'yes',    'yes'),
  'change many members at once':       row('hidden', 'denied', 'denied', 'yes',    'yes'),
  'delete rooms':                      row('hidden', 'denied', 'denied', 'yes',    'yes'),

  // What has no room, or not one yet.
  'connect':                           row('yes',    'yes',    'yes',    'denied', 'denied'),
  'subscribe':                         row('yes',    'yes',    'yes',    'denied', 'denied'),
  'have rooms':                        row('yes',    'yes',    'yes',    'denied', 'denied'),
  'search rooms':                      row('yes',    'yes',    'yes',    'denied', 'denied'),
  'create rooms':                      row('denied', 'denied', 'denied', 'yes',    'yes'),
  'create rooms where users may':      row('yes',    'yes',    'yes',    'yes',    'yes'),
  'put rooms by key':                  row('denied', 'denied', 'denied', 'yes',    'yes'),
  'list all rooms':                    row('denied', 'denied', 'denied', 'yes',    'yes'),
  'see users':                         row('denied', 'denied', 'denied', 'yes',    'yes'),
  'list users':                        row('denied', 'denied', 'denied', 'yes',    'yes'),
  'manage users':                      row('denied', 'denied', 'denied', 'yes',    'yes'),
  'export users':                      row('denied', 'denied', 'denied', 'yes',    'yes'),
  'erase users':                       row('denied', 'denied', 'denied', 'yes',    'yes'),
  'read the audit log':                row('denied', 'denied', 'denied', 'yes',    'yes'),

  // What has no door but the command line.
  'name rooms':                        row('denied', 'denied', 'denied', 'denied', 'yes'),
  'name a message without its room':   row('denied', 'denied', 'denied', 'denied', 'yes'),
  'search the messages of all rooms':  row('denied', 'denied', 'denied', 'denied', 'yes'),
  'see what is in the database':       row('denied', 'denied', 'denied', 'denied', 'yes'),
  'try the database':                  row('denied', 'denied', 'denied', 'denied', 'yes'),
  'import members':                   row('denied', 'denied', 'denied', 'denied', 'yes'),
  'import':                           row('denied', 'denied', 'denied', 'denied', 'yes'),
  'export':                           row('denied', 'denied', 'denied', 'denied', 'yes'),
  'seed':                             row('denied', 'denied', 'denied', 'denied', 'yes'),
  'take over a database':             row('denied', 'denied', 'denied', 'denied', 'yes'),
  'see the outbox':                    row('denied', 'denied', 'denied', 'denied', 'yes'),
  'retry events':                      row('denied', 'denied', 'denied', 'denied', 'yes'),
  'drop events':                       row('denied', 'denied', 'denied', 'denied', 'yes'),
  'verify streams':                    row('denied', 'denied', 'denied', 'denied', 'yes'),
  'repair streams':                    row('denied', 'denied', 'denied', 'denied', 'yes'),
};

export type Action = keyof typeof rights;

/** Who is out is a stranger, and who has no valid token, or is deactivated, gets nowhere. */
function row(stranger: Right, member: Right, admin: Right, service: Right, operator: Right) {
  const nobody: Right = 'unknown';
  return {nobody, deactivated: nobody, stranger, ex_member: stranger, member, admin, service, operator};
}
