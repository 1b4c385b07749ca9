/** The help on `scenarios`. Its example is run by a test. */
export const scenarioGuide = `A scenario is a JSON file with steps, played by: chatctl smoke scenario.json --spawn

  {
    "name": "a deploy is announced",
    "steps": [
      {"id": "room", "request": "POST /api/rooms/", "body": {"name": "ops \${run}", "members": ["alice", "bob"]},
       "status": 201, "assert": ["body.member_count==2"], "capture": {"room": "body.id"}},
      {"id": "connect", "connect": "bob"},
      {"id": "post", "request": "POST /api/rooms/\${room}/messages/", "as": "alice", "body": {"content": "v2 is out"},
       "status": 201, "capture": {"message": "body.id"}},
      {"id": "told", "expect": "bob", "event": "type==message_added && body.id==\${message}", "within": "5s"},
      {"id": "shell", "chatctl": ["message", "post", "\${room}", "from the shell", "--json"], "capture": {"second": "body.message.id"}},
      {"id": "away", "drop": "bob"},
      {"id": "back", "back": "bob", "assert": ["recovered==true"]},
      {"id": "clean", "request": "DELETE /api/rooms/\${room}/", "status": 204, "always": true, "needs": ["room"]}
    ]
  }

Each step has exactly one of
  request   "METHOD /path", as a user, as service (when not said) or as nobody; with body, status, assert, capture.
            Without status any answer below 400 passes. Looked at: status, body
  connect   a user; their events are kept from then on
  expect    a connected user, with event, an expression; within, 5s when not said; capture. An event is taken once.
            Looked at: type, body, room_id, version, message_id, offset, latency_ms
  chatctl   a list of arguments; stdin, exit (0 when not said), assert, capture. Looked at: exit, stdout, stderr, and
            body, which is stdout as JSON
  drop      a connected user loses the connection
  back      comes back; assert on recovered
and may have
  id        letters, digits, _ . - (else its number), for --only and the reports
  about     what it is for, in a few words
  needs     ids of earlier steps that must have passed; all of them when not said
  always    it cleans up: it runs also after a failure or Ctrl-C, and not with --keep
  capture   names for paths of what was looked at; later steps use them as \${name}

Given are \${run}, which is different each time, \${api_url} and \${realtime_url}.
An expression is path op value, joined by &&, with == != < <= > >= ~ (contains).

An ES module (.mjs) exports the same steps as \`steps\`; there a step may also be a function, {id, run(chat)}, which is given
request(as, method, path, body), connect(user), expect(user, expression, withinMs), drop(user), back(user),
chatctl(args, stdin), values (a Map), run, apiUrl and realtimeUrl. It fails by throwing: an AssertionError of node:assert
is a failed check, anything else a fault.

Exit codes: 8 a check failed, 9 an event did not come, 5 nobody answered, 2 the file is wrong, 1 a fault in a function.
With --spawn nothing of the project around is used; without it user ids such as "alice-\${run}" keep runs apart.`;
