# The words of the page on which an invited person answers. Text and variables only: the page puts the variables in.
# A message `X-heading` is the heading of the state X, and with it the title of the page; `X-text` is what stands below.

language = English
choose-language = Language
page = Invitation
contact = Contact

loading-heading = Your invitation
loading-text = One moment, please.
no-script-heading = This page needs JavaScript
no-script-text = Your browser does not run JavaScript here, and without it this page cannot read your link. Allow JavaScript for this page, or open the link in another browser. Nothing has happened to your invitation.

# Open. $portal is the name of the product, $tenant that of the customer; they may be the same.
open-heading = You are invited to { $portal }
open-greeting = Hello { $name },
open-text = you are invited to the customer portal of { $tenant }.
open-text-by = { $inviter } invites you to the customer portal of { $tenant }.
open-text-alone = You are invited to the customer portal of { $tenant }.
message-by = { $inviter } writes:
message-alone = Personal message:
address = Your e-mail
answer-by = Answer by
accept = Accept
decline = Decline
open-hint = Nothing happens until you choose. If you did not expect this invitation, just close this page.
sending = Your answer is being sent.

declining-heading = Decline this invitation?
declining-text = The link cannot be used after that. If you change your mind later, somebody has to invite you again.
decline-finally = Yes, decline
back = No, go back

accepted-heading = Invitation accepted
accepted-text = Welcome! Go on to the portal to sign in or set up your account there.
accepted-text-alone = Welcome! You can close this page. Your contact tells you how to sign in.
continue = Continue to { $host }

declined-heading = Invitation declined
declined-text = You will not hear about this invitation again. If you declined by mistake, ask whoever invited you to send it again.

expired-heading = This invitation has expired
expired-text = Its link could be used for a limited time, and that time is over. Ask whoever invited you to send the invitation again: you then get a new link by mail.

revoked-heading = This invitation was taken back
revoked-text = Whoever sent it has ended it. If you think that this is a mistake, ask them to invite you again.

superseded-heading = There is a newer link
superseded-text = A later mail has replaced this link. Look for the latest invitation in your mailbox, in the spam folder too, and use the link in that one.

withdrawn-heading = This invitation no longer exists
withdrawn-text = It was removed after it had been sent to you. If you still expect access, ask whoever invited you.

inactive-heading = The portal is switched off at the moment
inactive-text = Nothing is lost: your invitation can be accepted once the portal is back, as long as the date in your mail has not passed. Try again later, or ask your contact.

suspended-heading = This account is not in use
suspended-text = There is an account for your address, but it was suspended or closed, so the invitation cannot be accepted. Ask your contact to open it again.

member-heading = You already have an account
member-text = Your address is registered already, so there is nothing left to accept. Sign in to the portal as usual.

unknown-heading = This link is not known
unknown-text = It may not have been copied whole. Open the link from your mail again, or paste it here.
paste-heading = Open your invitation
paste-text = Paste the link from your invitation mail here. Its last part, behind the # sign, is enough.
paste-label = Link from your mail
paste-hint = It begins with https:// and is rather long.
paste-wrong = This is not a link to an invitation. Copy it from your mail once more, whole, from https:// to its last character.
paste-empty = Paste the link first.
open = Open invitation

offline-heading = No connection
offline-text = The page cannot reach its server. Check your connection to the internet, then try again. Nothing is lost.
busy-heading = Many people are here right now
busy-text = Please wait { $delay }, then try again. Nothing is lost.
unavailable-heading = Please try again in a moment
unavailable-text = The service cannot answer right now. Please wait { $delay }, then try again. Nothing is lost.
failed-heading = That did not work
failed-text = The server did not understand this page. Load it again, or open the link in another browser.
retry = Try again
