from notifications.pipeline.events import DomainEvent


class CampaignStarted(DomainEvent, name="campaign.started"):
    """Fires when somebody starts a campaign, or lets it go on."""

    campaign_id: int
