import test from 'ava';
import {parseExpression} from '../../src/cli/expression.ts';

const event = {
  type: 'message_added',
  offset: 12,
  latency_ms: 340,
  body: {id: 5, content: 'Deploy "done" && dusted', user: {id: '42'}, deleted_at: null, tags: ['a', 'b']},
};

const holding = [
  'type==message_added',
  'type == "message_added"',
  'body.id==5 && type!=user_left',
  'body.user.id==42',
  'offset>=12&&offset<13',
  'latency_ms<1s',
  'latency_ms > 300ms',
  'body.content~deploy',
  String.raw`body.content~"\"done\" && dusted"`,
  "body.content~'done'",
  'body.deleted_at==null',
  'body.tags~b',
  'nothing!=1',
];
for (const text of holding) {
  test(`holds: ${text}`, t => {
    t.true(parseExpression(text).holds(event));
  });
}

const failing = [
  'type==user_joined',
  'type==message_added && body.id==6',
  'offset>12',
  'latency_ms<100ms',
  'body.content~nothing',
  'body.nothing==5',
  'nothing<5',
  'constructor~Object',
];
for (const text of failing) {
  test(`does not hold: ${text}`, t => {
    t.false(parseExpression(text).holds(event));
  });
}

for (const text of [
  '',
  'type',
  'type=x',
  'type===message_added',
  'type!==message_added',
  'type=>message_added',
  'version=<7',
  'version<==7',
  'body.content~=deploy',
  'type==',
  '==x',
  'a==1 &&',
  'a==1 & b==2',
  'a==1 || b==2',
  'a<text',
  'a=="x',
]) {
  test(`is refused: ${text}`, t => {
    t.throws(() => parseExpression(text), {code: 'bad_format'});
  });
}
