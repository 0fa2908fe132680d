"""How fast a network would be on a device that is away: from tables that others published, and from times taken here."""
