"""What Velocity says of a parcel on its way, turned into scans. Pure: no network, no clock.

Velocity gives a current status in a fixed vocabulary and a list of activities in free text. Both become scans:
the activities for the history, the current status where the history does not say it already.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from shipcrowd.couriers.contract import Flow, Progress, Scan, TrackingReply
from shipcrowd.integrations.velocity import reading
from shipcrowd.integrations.velocity.reading import first
from shipcrowd.kernel.clock import ist
from shipcrowd.kernel.outbound import Json

P = Progress

FORWARD: Mapping[str, Progress] = {
    "NEW": P.pickup_pending,
    "MANIFESTED": P.pickup_pending,
    "PENDING": P.pickup_pending,
    "PICKUP PENDING": P.pickup_pending,
    "PICKUP SCHEDULED": P.pickup_pending,
    "OUT FOR PICKUP": P.pickup_pending,
    "PICKUP FAILED": P.pickup_failed,
    "PKP": P.picked_up,
    "PICKED UP": P.picked_up,
    "IT": P.in_transit,
    "IN TRANSIT": P.in_transit,
    "REACHED HUB": P.in_transit,
    "DISPATCHED": P.in_transit,
    "OFD": P.out_for_delivery,
    "OUT FOR DELIVERY": P.out_for_delivery,
    "DEL": P.delivered,
    "DELIVERED": P.delivered,
    "NDR": P.delivery_failed,
    "DELIVERY ATTEMPTED": P.delivery_failed,
    "DELIVERY FAILED": P.delivery_failed,
    "UNDELIVERED": P.delivery_failed,
    "RTO": P.rto_initiated,
    "RTO INITIATED": P.rto_initiated,
    "RTO IN TRANSIT": P.rto_in_transit,
    "RTO OUT FOR DELIVERY": P.rto_out_for_delivery,
    "RTO DELIVERED": P.rto_delivered,
    "CANCELLED": P.cancelled,
    "CANCELED": P.cancelled,
    "CANCELLATION REQUESTED": P.cancelling,
    "LOST": P.lost,
    "DAMAGED": P.damaged,
}

RETURN: Mapping[str, Progress] = {
    "RETURN PICKUP SCHEDULED": P.pickup_pending,
    "RETURN PICKED UP": P.picked_up,
    "RETURN IN TRANSIT": P.in_transit,
    "RETURN DELIVERED": P.delivered,
    "RETURN LOST": P.lost,
}
"""The statuses of a parcel the buyer sends back."""


def _key(status: str) -> str:
    return re.sub(r"[\s_\-]+", "", status).upper()


_MEANINGS: Mapping[str, tuple[Progress, Flow]] = {
    **{_key(status): (progress, Flow.forward) for status, progress in FORWARD.items()},
    **{_key(status): (progress, Flow.reverse) for status, progress in RETURN.items()},
}

ENDS = frozenset({P.delivered, P.rto_delivered, P.cancelled, P.lost, P.damaged})

FAILED_ATTEMPT: Sequence[re.Pattern[str]] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(customer|consignee|receiver)\b.{0,20}\b(not available|unavailable|not at home)",
        r"\brefused\b|\brefusal\b",
        r"(incomplete|wrong|incorrect|insufficient) address|address\b.{0,20}\b(incomplete|wrong|incorrect|not found)",
        r"\bunreachable\b|not reachable|not contactable|could not be contacted",
        r"(phone|mobile|number)\b.{0,20}\bswitched off",
        r"reschedul\w* (was |is )?requested|request\w* .{0,20}reschedul|asked .{0,20}reschedul",
        r"delivery (was )?attempted|delivery attempt (failed|unsuccessful)|(door|premises) (is |was )?(closed|locked)",
    )
)
"""Free text that tells of a failed delivery attempt."""

# The same words are said of a pickup that failed, or on the way back: those are no delivery attempts.
OTHER_LEG = re.compile(r"pick[\s-]?up|pickup|\brto\b|\breturn", re.IGNORECASE)


def meaning(status: str) -> tuple[Progress | None, Flow]:
    """The progress and leg a status of the fixed vocabulary stands for, whatever its case, spaces, underscores.

    `"UNDELIVERED - door closed"` means what stands before the dash. None for a status we do not know.
    """
    found = _MEANINGS.get(_key(status))
    if found is None:
        found = _MEANINGS.get(_key(re.split(r"\s[-–|]\s|:|\(", status, maxsplit=1)[0]))
    return found or (None, Flow.forward)


def told_by(activity: str) -> tuple[Progress | None, Flow]:
    """Like `meaning`, for an activity's free text, which may also tell of a failed attempt."""
    progress, flow = meaning(activity)
    if progress is None and not OTHER_LEG.search(activity) and any(p.search(activity) for p in FAILED_ATTEMPT):
        return P.delivery_failed, Flow.forward
    return progress, flow


def reply_of(awb: str, entry: Json, seen_at: datetime) -> tuple[TrackingReply, int]:
    """One AWB's answer → its history, oldest first, and how many events had to be left out for want of a date.

    `seen_at` dates a current status that comes with no date anywhere.
    """
    answer = reading.record(entry)
    data = reading.record(answer.get("tracking_data")) or answer
    tracks = reading.records(data.get("shipment_track"))
    track: Mapping[str, Json] = tracks[0] if tracks else {}
    activities = reading.records(data.get("shipment_track_activities"))
    status = first(data, "shipment_status") or first(track, "current_status")

    scans = history(activities, returning=meaning(status)[1] is Flow.reverse)
    unread = len(activities) - len(scans)
    present = current_scan(status, track, scans, seen_at)
    if present:
        scans.append(present)
    if not scans:
        said = first(answer, "error", "message") or first(data, "error", "message")
        if said or not status:
            return TrackingReply(awb, error=said or "Velocity has no news of this AWB yet"), unread
    order_id = first(track, "order_id")
    return (
        TrackingReply(
            awb=awb,
            scans=tuple(scans),
            courier_order_id=order_id if is_theirs(order_id) else None,
            reference=order_id or None if not is_theirs(order_id) else None,
            track_url=first(data, "track_url") or None,
        ),
        unread,
    )


def history(activities: Sequence[Mapping[str, Json]], *, returning: bool) -> list[Scan]:
    """The dated activities as scans, oldest first. One that cannot be read never costs the others."""
    scans: list[Scan] = []
    for event in activities:
        at = reading.moment(event.get("date")) or reading.moment(event.get("timestamp"))
        if at is None:
            continue
        said = first(event, "activity", "description", "status")
        progress, flow = meaning(first(event, "status"))
        if progress is None:
            # At a return's pickup the buyer may be away too; that is no failed delivery.
            progress, flow = meaning(said) if returning else told_by(said)
        scans.append(
            Scan(
                at=at,
                status=first(event, "status") or said,
                progress=progress,
                flow=Flow.reverse if returning else flow,
                location=first(event, "location"),
                remark=said,
                raw=dict(event),
            )
        )
    if len(scans) > 1 and scans[0].at > scans[-1].at:
        scans.reverse()  # listed newest first: keeps the order of events of the same minute
    scans.sort(key=lambda scan: scan.at)
    return scans


def current_scan(status: str, track: Mapping[str, Json], scans: Sequence[Scan], seen_at: datetime) -> Scan | None:
    """The current status as a scan, unless the history already ends on it.

    It is dated by what belongs to it, so that asking again yields the same scan: the parcel's own date of delivery
    or pickup, else the latest activity. With no date at all, an end is dated as seen and anything else by the day.
    """
    progress, flow = meaning(status)
    latest = scans[-1] if scans else None
    told = next((scan.progress for scan in reversed(scans) if scan.progress), None)
    repeated = progress is told if progress else latest is not None and _key(latest.status) == _key(status)
    if not status or repeated:
        return None
    own: Mapping[Progress | None, str] = {
        P.delivered: "delivered_date",
        P.rto_delivered: "delivered_date",
        P.picked_up: "pickup_date",
    }
    at = reading.moment(track.get(own[progress])) if progress in own else None
    if latest and (at is None or at < latest.at):
        at = latest.at
    if at is None:
        at = seen_at if progress in ENDS else ist(seen_at).replace(hour=0, minute=0, second=0, microsecond=0)
    return Scan(
        at=at,
        status=status,
        progress=progress,
        flow=flow,
        location=latest.location if latest else "",
        remark=latest.remark if latest else "",
        raw={"shipment_status": status},
    )


def is_theirs(order_id: str) -> bool:
    """Velocity's own order ids look like ORD4K2…; anything else is the reference we gave."""
    return re.fullmatch(r"(ORD|RET)[A-Z0-9]+", order_id) is not None
