/** Short names for what the API answers with. */
import type { components } from './schema';

type Schemas = components['schemas'];

export type Account = Schemas['AccountView'];
export type AuditEntry = Schemas['AuditEntry'];
export type BulkRequest = Schemas['BulkRequest'];
export type BulkResult = Schemas['BulkResult'];
export type Clip = Schemas['ClipView'];
export type CurrentPlan = Schemas['CurrentView'];
export type Delivery = Schemas['OperatorDeliveryView'];
export type ErrorGroup = Schemas['ErrorGroup'];
export type Figures = Schemas['FiguresView'];
export type Highlight = Schemas['HighlightView'];
export type Job = Schemas['OperatorJobView'];
export type JobDetail = Schemas['OperatorJobDetailView'];
export type JobState = Job['status'];
export type OperatorRoom = Schemas['OperatorRoomView'];
export type OperatorUser = Schemas['OperatorUserView'];
export type OperatorUserDetail = Schemas['OperatorUserDetailView'];
export type Payment = Schemas['PaymentView'];
export type ProfileChange = Schemas['ProfileRequest'];
export type QueueState = Schemas['QueueState'];
export type QueueTimes = Schemas['QueueTimes'];
export type Recording = Schemas['RecordingView'];
export type Room = Schemas['Room'];
export type RunningJob = Schemas['RunningJob'];
export type Schedule = Schemas['ScheduleView'];
export type SeriesPoint = Schemas['SeriesPoint'];
export type Share = Schemas['ShareView'];
export type StripeEvent = Schemas['StripeEventView'];
export type Tenant = Schemas['Tenant'];
export type Tier = Schemas['TierView'];
export type Timeline = Schemas['TimelineView'];
export type UsageItem = Schemas['UsageItemView'];
export type Webhook = Schemas['WebhookView'];
export type WebhookEvent = Webhook['events'][number];
export type Worker = Schemas['WorkerState'];
