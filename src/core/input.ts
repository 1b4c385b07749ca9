// What callers may send. One zod schema per field gives the type, the check, the OpenAPI entry and the command
// line's parsing; a door parses once and everything below believes the types.
import {z} from 'zod';
import {ChatError, errorCodes, type ErrorCode, type FieldError} from './errors.ts';
import type {MessageId, RoomId, Timestamp, UserId} from './ids.ts';

export const maxContentLength = 10_000;
export const maxUsernameLength = 150;
export const maxBulkMembers = 10_000;
export const maxPageSize = 100;

type Check = {code: ErrorCode; message: string; ok: (text: string) => boolean};

const control = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F]/;
const anyControl = /[\u0000-\u001F\u007F-\u009F\u2028\u2029]/;
// Zero-width and other invisible characters: a message of nothing else shows as nothing.
const invisible =
  /^[\s\u00AD\u034F\u061C\u115F\u1160\u17B4\u17B5\u180E\u200B-\u200F\u202A-\u202E\u2060-\u206F\uFE00-\uFE0F\uFEFF\uFFA0]*$/;

const notBlank: Check = {code: 'blank', message: 'must not be blank.', ok: text => !invisible.test(text)};
const wellFormed: Check = {
  code: 'bad_characters',
  message: 'holds a NUL, a control character or half of a surrogate pair.',
  ok: text => text.isWellFormed() && !control.test(text),
};
const oneLine: Check = {
  code: 'bad_characters',
  message: 'holds a line break, a control character or half of a surrogate pair.',
  ok: text => text.isWellFormed() && !anyControl.test(text),
};
const atMost = (limit: number): Check => ({
  code: 'too_long',
  message: `has more than ${limit} characters.`,
  // Code units first: counting code points of a huge text is not free.
  ok: text => text.length <= limit || (text.length <= 2 * limit && [...text].length <= limit),
});
const shaped = (pattern: RegExp, message: string): Check => ({
  code: 'bad_format',
  message,
  ok: text => pattern.test(text),
});

function text(...checks: Check[]) {
  return z.string().superRefine((value, context) => {
    const failed = checks.find(check => !check.ok(value));
    if (failed) context.addIssue({code: 'custom', message: failed.message, params: {code: failed.code}});
  });
}

function trimmed(...checks: Check[]) {
  return z
    .string()
    .transform(value => value.trim())
    .pipe(text(...checks));
}

const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.@|:+=~-]{0,199}$/;
const idMessage = 'must be 1 to 200 of the characters A-Z a-z 0-9 _ . @ | : + = ~ - and begin with a letter or digit.';

export const UserIdInput = text(shaped(idPattern, idMessage))
  .transform(value => value as UserId)
  .meta({description: 'The `sub` of the user’s JWT.', example: 'alice', pattern: idPattern.source});
export const RoomKeyInput = text(shaped(idPattern, idMessage)).meta({
  description: 'The embedder’s own name for a room.',
  example: 'order-1042',
  pattern: idPattern.source,
});
export const RoomNameInput = trimmed(notBlank, oneLine, atMost(100)).meta({
  example: 'general',
  minLength: 1,
  maxLength: 100,
});
export const UsernameInput = trimmed(notBlank, oneLine, atMost(maxUsernameLength)).meta({
  example: 'Alice',
  minLength: 1,
  maxLength: maxUsernameLength,
});
export const ContentInput = trimmed(notBlank, wellFormed, atMost(maxContentLength)).meta({
  example: 'hello',
  minLength: 1,
  maxLength: maxContentLength,
});
export const ClientIdInput = text(shaped(/^[\x21-\x7E]{1,255}$/, 'must be 1 to 255 printable ASCII characters.')).meta({
  description: 'The client’s own id of this post; sending it again returns the first message.',
  minLength: 1,
  maxLength: 255,
});
export const SearchInput = trimmed(oneLine, atMost(100)).meta({maxLength: 100});
export const VisibilityInput = z.enum(['public', 'private']);
export const RoleInput = z.enum(['member', 'admin']);

/** A positive integer that fits a JavaScript number, from a number or from decimal digits in a path or argument. */
function idInput() {
  return z
    .union([
      z.number(),
      z
        .string()
        .regex(/^[1-9][0-9]{0,15}$/)
        .transform(Number),
    ])
    .pipe(z.int().positive());
}
export const RoomIdInput = idInput().transform(value => value as RoomId);
export const MessageIdInput = idInput().transform(value => value as MessageId);
/** From a query's text, which the OpenAPI document calls the number that it stands for. */
function numberInput(maximum: number) {
  return z.coerce
    .number()
    .pipe(z.int().min(1).max(maximum))
    .meta({override: {type: 'integer', minimum: 1, maximum}});
}
export const PageSizeInput = numberInput(maxPageSize).default(maxPageSize);
export const PageNumberInput = numberInput(1_000_000_000).default(1);

export const CreateRoom = z.strictObject({
  name: RoomNameInput,
  key: RoomKeyInput.nullish(),
  visibility: VisibilityInput.optional(),
  members: z.array(UserIdInput).max(maxBulkMembers).optional(),
});
export type CreateRoom = z.output<typeof CreateRoom>;

/** The body of PUT by key; the key is in the path. */
export const PutRoom = z.strictObject({
  name: RoomNameInput,
  key: RoomKeyInput.optional(),
  visibility: VisibilityInput.optional(),
  members: z.array(UserIdInput).max(maxBulkMembers).optional(),
});
export type PutRoom = z.output<typeof PutRoom>;

export const UpdateRoom = z
  .strictObject({
    name: RoomNameInput.optional(),
    key: RoomKeyInput.nullable().optional(),
    visibility: VisibilityInput.optional(),
    archived: z.boolean().optional(),
  })
  .refine(body => Object.keys(body).length > 0, {message: 'names no field to change.', params: {code: 'required'}});
export type UpdateRoom = z.output<typeof UpdateRoom>;

export const PostMessage = z.strictObject({
  content: ContentInput,
  client_id: ClientIdInput.nullish(),
  user_id: UserIdInput.nullish().meta({
    description: 'For a service token: the member to post as; without it, the system.',
  }),
});
export type PostMessage = z.output<typeof PostMessage>;

export const MarkRead = z.strictObject({seq: z.int().min(0)});
export const PutMember = z.strictObject({role: RoleInput.optional()});
export const ChangeMembers = z
  .strictObject({add: z.array(UserIdInput).optional(), remove: z.array(UserIdInput).optional()})
  .refine(body => (body.add?.length ?? 0) + (body.remove?.length ?? 0) > 0, {
    message: 'names nobody to add or remove.',
    params: {code: 'required'},
  })
  .refine(body => (body.add?.length ?? 0) + (body.remove?.length ?? 0) <= maxBulkMembers, {
    message: `names more than ${maxBulkMembers} users; send them in several requests.`,
    params: {code: 'too_many'},
  });
export type ChangeMembers = z.output<typeof ChangeMembers>;
export const PutUser = z.strictObject({username: UsernameInput});

/** What becomes of an erased user's messages. */
export const MessageFateInput = z.enum(['keep', 'redact', 'delete']).meta({
  description:
    '`keep` leaves the content under the erased id; `redact` empties it and tells each room once; `delete` empties it and tells of every message.',
});
export const EraseUser = z.strictObject({messages: MessageFateInput});
export type MessageFate = z.output<typeof MessageFateInput>;

/** A moment with its offset from UTC, from the years that both databases can hold. */
export const TimeInput = z.iso
  .datetime({offset: true})
  .transform(value => new Date(value).toISOString())
  .pipe(text(shaped(/^(19|[2-9]\d)\d\d-/, 'must be between the years 1900 and 9999.')))
  .transform(value => value as Timestamp);
export const AuditIdInput = idInput();
export const AuditActorInput = text(oneLine, atMost(220)).meta({example: 'service:primary', maxLength: 220});

const unknownProblem: FieldError = {field: '', code: 'invalid_input', message: 'is not valid.'};

/** The first thing that is wrong, in the words of all refusals. */
export function firstProblem(error: z.ZodError, value: unknown): FieldError {
  return problemsIn(error, value)[0] ?? unknownProblem;
}

/** Parses what came in at a door, or throws a ChatError that names every field at fault. */
export function parse<S extends z.ZodType>(schema: S, value: unknown, what = 'input'): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const fields = problemsIn(result.error, value);
  const {code, field, message} = fields[0] ?? unknownProblem;
  throw new ChatError(code, `${field || what} ${message}`, {fields});
}

function problemsIn(error: z.ZodError, value: unknown): FieldError[] {
  return error.issues.flatMap(issue => fieldErrors(issue, value));
}

function fieldErrors(issue: z.core.$ZodIssue, input: unknown): FieldError[] {
  const field = fieldName(issue.path);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map(key => ({
      field: field ? `${field}.${key}` : key,
      code: 'unknown_field',
      message: 'is not a field of this request.',
    }));
  }
  return [{field, ...codeAndMessage(issue, valueAt(input, issue.path))}];
}

function codeAndMessage(issue: z.core.$ZodIssue, value: unknown): {code: ErrorCode; message: string} {
  switch (issue.code) {
    case 'custom':
      return {code: customCode(issue.params), message: issue.message};
    case 'invalid_type':
      if (issue.expected === 'object' && issue.path.length === 0) {
        return {code: 'object_required', message: 'must be a JSON object.'};
      }
      if (value === undefined) return {code: 'required', message: 'is required.'};
      return {code: 'wrong_type', message: `must be ${article(issue.expected)}.`};
    case 'invalid_value':
      if (value === undefined) return {code: 'required', message: 'is required.'};
      return {code: 'unknown_value', message: `must be one of ${issue.values.join(', ')}.`};
    case 'too_big':
      if (issue.origin === 'array') return {code: 'too_many', message: `has more than ${issue.maximum} entries.`};
      return {code: 'out_of_range', message: `must be at most ${issue.maximum}.`};
    case 'too_small':
      if (issue.origin === 'string') return {code: 'too_short', message: 'must not be empty.'};
      return {code: 'out_of_range', message: `must be at least ${issue.minimum}.`};
    default:
      if (value === undefined) return {code: 'required', message: 'is required.'};
      return {code: 'bad_format', message: 'is not valid.'};
  }
}

function customCode(params: Record<string, unknown> | undefined): ErrorCode {
  const code = params?.['code'];
  return typeof code === 'string' && code in errorCodes ? (code as ErrorCode) : 'invalid_input';
}

function article(expected: string): string {
  return `${/^[aeiou]/.test(expected) ? 'an' : 'a'} ${expected === 'int' ? 'whole number' : expected}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  return path.reduce<string>((name, part) => {
    if (typeof part === 'number') return `${name}[${part}]`;
    return name ? `${name}.${String(part)}` : String(part);
  }, '');
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    input,
  );
}
