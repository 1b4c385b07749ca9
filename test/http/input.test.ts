// Input that is wrong in every way. The answer is a 4xx that says what is wrong, always as problem+json, never a 5xx.
import {brotliCompressSync, deflateSync, gzipSync} from 'node:zlib';
import test, {type ExecutionContext} from 'ava';
import {Problem} from '../../src/http/schemas.ts';
import {apiToken, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, sendRaw, startApi, testRoom, type Answer, type Api} from '../helpers/http.ts';

const mia = apiToken('mia');

function mustBeProblem(t: ExecutionContext, answer: Answer, status: number, code?: string): void {
  t.is(answer.status, status, answer.text.slice(0, 300));
  t.is(answer.headers.get('content-type'), 'application/problem+json');
  Problem.parse(answer.body);
  if (code !== undefined) t.is(answer.at('code'), code, answer.text.slice(0, 300));
}

/** Posts to a room of the test's own; the room must be as it was when the post is refused. */
async function post(api: Api, body: object | string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return ask(api, mia, 'POST', `/api/rooms/${await testRoom(api.chat)}/messages/`, body, headers);
}

interface Bad {
  body: object | string | Buffer;
  headers?: Record<string, string>;
  status?: number;
  code?: string;
}

const deep = (levels: number) => `{"content":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const long = JSON.stringify({content: 'x'.repeat(64 * 1_024)});

const bodies: Record<string, Bad> = {
  'E1: truncated JSON': {body: '{"content":', code: 'invalid_json'},
  'E2: an empty body': {body: '', code: 'body_required'},
  'E2: white space alone': {body: ' \n ', code: 'invalid_json'},
  'E3: a number': {body: '5', code: 'object_required'},
  'E3: a string': {body: '"hello"', code: 'object_required'},
  'E4: null': {body: 'null', code: 'object_required'},
  'E5: a list': {body: '[{"content":"x"}]', code: 'object_required'},
  'E6, T30: more than 64 KiB': {body: long, status: 413, code: 'too_large'},
  'E7, T30: a gzip bomb': {
    body: gzipSync(Buffer.alloc(10_000_000, ' ')),
    headers: {'content-encoding': 'gzip'},
    status: 413,
    code: 'too_large',
  },
  'E8, T34: a field __proto__': {body: '{"content":"x","__proto__":{"polluted":1}}', code: 'invalid_json'},
  'E9, T34: a field constructor': {body: '{"content":"x","constructor":{"prototype":{"polluted":1}}}'},
  'E10, T30: 33 levels': {body: deep(33), code: 'too_deep'},
  'E10, T30: 30,000 levels': {body: deep(30_000), code: 'too_deep'},
  'E12: bytes that are not UTF-8': {body: Buffer.from('{"content":"\xff\xfe"}', 'latin1'), code: 'invalid_encoding'},
  'E12: a UTF-8 sequence that is cut': {
    body: Buffer.from('{"content":"\xe2\x82"}', 'latin1'),
    code: 'invalid_encoding',
  },
  'E12: bytes that are not UTF-8, in gzip': {
    body: gzipSync(Buffer.from('{"content":"\xff"}', 'latin1')),
    headers: {'content-encoding': 'gzip'},
    code: 'invalid_encoding',
  },
  'E32: plain bytes called gzip': {
    body: '{"content":"x"}',
    headers: {'content-encoding': 'gzip'},
    code: 'invalid_encoding',
  },
  'E32: gzip that is cut': {
    body: gzipSync('{"content":"x"}').subarray(0, 20),
    headers: {'content-encoding': 'gzip'},
    code: 'invalid_encoding',
  },
  'E32: plain bytes called br': {
    body: '{"content":"x"}',
    headers: {'content-encoding': 'br'},
    code: 'invalid_encoding',
  },
  'E31: an encoding nobody knows': {body: '{}', headers: {'content-encoding': 'foo'}, status: 415},
  'E30: plain text': {body: 'content=x', headers: {'content-type': 'text/plain'}, status: 415},
  'E30: a form': {body: 'content=x', headers: {'content-type': 'application/x-www-form-urlencoded'}, status: 415},
  'E30: JSON of another kind': {body: '{}', headers: {'content-type': 'application/vnd.api+json'}, status: 415},
  'E20: the charset utf-16': {body: '{}', headers: {'content-type': 'application/json; charset=utf-16'}, status: 415},
  'E20: a charset behind that of UTF-8': {
    body: '{}',
    headers: {'content-type': 'application/json; charset=utf-8; charset=utf-16'},
    status: 415,
  },
  'E20: a charset written with spaces': {
    body: '{}',
    headers: {'content-type': 'application/json; charset = utf-16'},
    status: 415,
  },
  'E30: a Content-Type with a parameter that cannot be read': {
    body: '{}',
    headers: {'content-type': 'application/json; a="b'},
    status: 415,
  },
  'E20: a charset nobody knows': {
    body: '{}',
    headers: {'content-type': 'application/json; charset=klingon'},
    status: 415,
  },
  'E17: no content': {body: {}, code: 'required'},
  'E17: content null': {body: {content: null}, code: 'wrong_type'},
  'E17: content a number': {body: {content: 5}, code: 'wrong_type'},
  'E17: content an object': {body: {content: {}}, code: 'wrong_type'},
  'E17: content a list': {body: {content: ['x']}, code: 'wrong_type'},
  'E17: content true': {body: {content: true}, code: 'wrong_type'},
  'E15: empty content': {body: {content: ''}, code: 'blank'},
  'E15: content of spaces': {body: {content: ' \t\n\u00a0\u3000'}, code: 'blank'},
  'E15: content of zero-width characters': {body: {content: '\u200b\u200d\ufeff'}, code: 'blank'},
  'E13, T35: content with NUL': {body: {content: 'a\u0000b'}, code: 'bad_characters'},
  'E14, T35: content with half a surrogate pair': {body: '{"content":"a\\ud800"}', code: 'bad_characters'},
  'E16, T30: content of 10,001 characters': {body: {content: 'x'.repeat(10_001)}, code: 'too_long'},
  'E16, T30: content of 10,001 emoji': {body: {content: '😀'.repeat(10_001)}, code: 'too_long'},
  'E18, T6: an unknown field': {body: {content: 'x', id: 7}, code: 'unknown_field'},
  'E18, T6: fields of the stored row': {body: {content: 'x', seq: 1, version: 9, created_at: 'x', room_id: 1}},
  'E39, T38: a client id that is empty': {body: {content: 'x', client_id: ''}, code: 'bad_format'},
  'E39, T38: a client id of 256 characters': {body: {content: 'x', client_id: 'x'.repeat(256)}, code: 'bad_format'},
  'E39, T38: a client id that is a number': {body: {content: 'x', client_id: 5}, code: 'wrong_type'},
  'E39, T38: a client id with a line break': {body: {content: 'x', client_id: 'a\nb'}, code: 'bad_format'},
  'E39: an empty Idempotency-Key': {body: {content: 'x'}, headers: {'idempotency-key': ''}, code: 'bad_format'},
  'E39: an Idempotency-Key of 256 characters': {
    body: {content: 'x'},
    headers: {'idempotency-key': 'x'.repeat(256)},
    code: 'bad_format',
  },
  'E39: an Idempotency-Key with a space': {
    body: {content: 'x'},
    headers: {'idempotency-key': 'a b'},
    code: 'bad_format',
  },
  'E39: an Idempotency-Key with a tab': {
    body: {content: 'x'},
    headers: {'idempotency-key': 'a\tb'},
    code: 'bad_format',
  },
};

for (const [title, {body, headers, status = 400, code}] of Object.entries(bodies)) {
  test(`refused, a message with ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    mustBeProblem(t, await post(api, body, headers), status, code);
    t.is((await ask(api, serviceToken(), 'GET', '/api/rooms/?all=true')).at('results.0.last_message'), null);
    t.false('polluted' in {});
  });
}

const goodBodies: Record<string, Bad> = {
  'E19: a byte order mark before it': {body: '\ufeff{"content":"x"}'},
  'E11: fields twice, the last of which counts': {body: '{"content":"y","content":"x"}'},
  'white space around it': {body: '{"content":"  x\\n"}'},
  'the charset utf-8 in quotes': {
    body: '{"content":"x"}',
    headers: {'content-type': 'Application/JSON; Charset="UTF-8"'},
  },
  gzip: {body: gzipSync('{"content":"x"}'), headers: {'content-encoding': 'gzip'}},
  deflate: {body: deflateSync('{"content":"x"}'), headers: {'content-encoding': 'deflate'}},
  brotli: {body: brotliCompressSync('{"content":"x"}'), headers: {'content-encoding': 'br'}},
};
for (const [title, {body, headers}] of Object.entries(goodBodies)) {
  test(`accepted, a message with ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    const answer = await post(api, body, headers);
    t.is(answer.status, 201, answer.text);
    t.is(answer.at('content'), 'x');
  });
}

for (const database of databases) {
  test(`${database}: E16: 10,000 emoji, replacement characters and every script are stored as they came`, async t => {
    const api = await startApi(t, database);
    for (const content of [
      '😀'.repeat(10_000),
      'a\ufffdb',
      'e\u0301 é \u202eabc',
      '"\\\'; drop table rooms; --',
      '<b>%_\\',
    ]) {
      const answer = await post(api, {content});
      t.is(answer.status, 201, answer.text.slice(0, 200));
      t.is(answer.at('content'), content);
    }
  });

  test(`${database}: E13, E14, T35: what the database could not store is refused in every text field`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat, {key: 'k'});
    const service = serviceToken();
    for (const text of ['a\u0000b', 'a\ud800', 'x'.repeat(300), '']) {
      const sent = JSON.stringify(text);
      const answers = await Promise.all([
        ask(api, service, 'POST', '/api/rooms/', `{"name":${sent}}`),
        ask(api, service, 'POST', '/api/rooms/', `{"name":"x","key":${sent}}`),
        ask(api, service, 'POST', '/api/rooms/', `{"name":"x","members":[${sent}]}`),
        ask(api, service, 'PATCH', `/api/rooms/${room}/`, `{"name":${sent}}`),
        ask(api, service, 'PUT', '/api/rooms/by-key/k/', `{"name":${sent}}`),
        ask(api, service, 'PUT', '/api/users/mia/', `{"username":${sent}}`),
        ask(api, service, 'POST', `/api/rooms/${room}/members/`, `{"add":[${sent}]}`),
        ask(api, service, 'POST', `/api/rooms/${room}/messages/`, `{"content":"x","user_id":${sent}}`),
        ask(api, service, 'POST', `/api/rooms/${room}/messages/`, `{"content":"x","client_id":${sent}}`),
      ]);
      for (const answer of answers) mustBeProblem(t, answer, 400);
    }
    for (const q of ['%00', 'x'.repeat(10_000), '%ED%A0%80%00']) {
      for (const path of ['/api/users/?', '/api/rooms/?all=true&', `/api/rooms/${room}/members/?`]) {
        mustBeProblem(t, await ask(api, service, 'GET', `${path}q=${q}`), 400);
      }
    }
  });
}

test('E39: refused: two Idempotency-Key headers', async t => {
  const api = await startApi(t, 'sqlite');
  const body = '{"content":"x"}';
  const head = `POST /api/rooms/${await testRoom(api.chat)}/messages/ HTTP/1.1
Host: a
Authorization: Bearer ${mia}
Content-Type: application/json
Content-Length: ${body.length}
Idempotency-Key: a
Idempotency-Key: b`;
  mustBeProblem(t, await sendRaw(api, head.split('\n'), body), 400, 'bad_format');
});
