// The real-time client behind one file, which the build bundles: the package needs no `centrifuge` at run time.
export {Centrifuge, UnauthorizedError} from 'centrifuge';
export type {PublicationContext, StreamPosition, SubscribedContext, Subscription} from 'centrifuge';
